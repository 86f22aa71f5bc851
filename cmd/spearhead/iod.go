package main

import (
	"context"
	"flag"

	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// runIod runs the supervisor of containers. The runtime starts it; people do not.
func runIod(ctx context.Context, args []string) error {
	var config iod.Config
	flags := flag.NewFlagSet("spearhead iod", flag.ContinueOnError)
	flags.StringVar(&config.RunDir, "run-dir", "", "folder of sockets and records that end with the machine's uptime")
	flags.StringVar(&config.StateDir, "state-dir", "", "folder of logs and exit records")
	if err := flags.Parse(args); err != nil {
		return usageErrorf("iod: %v", err)
	}
	return iod.Main(ctx, config)
}
