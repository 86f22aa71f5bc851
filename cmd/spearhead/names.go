package main

import (
	"context"
	"flag"

	"github.com/spearheadcloud/spearhead/network/names"
)

// runNames runs the process that resolves names for containers. The network
// driver starts it; people do not.
func runNames(ctx context.Context, args []string) error {
	var config names.Config
	flags := flag.NewFlagSet("spearhead names", flag.ContinueOnError)
	flags.StringVar(&config.RunDir, "run-dir", "", "folder of the socket")
	flags.StringVar(&config.ResolvConf, "resolv-conf", "", "file that names the node's name servers")
	flags.StringVar(&config.Version, "version", "", "of the agent that starts it")
	if err := flags.Parse(args); err != nil {
		return usageErrorf("names: %v", err)
	}
	return names.Main(ctx, config)
}
