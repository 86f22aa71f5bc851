package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
)

func gossipCommand() *cli.Command {
	return operatorGroup(cli.Command{
		Name:  "gossip",
		Usage: "the ring by which machines know who is there and how full it is",
		Subcommands: []*cli.Command{{
			Name:  "rotate",
			Usage: "give the ring another key",
			Description: "All machines learn the new key, then use it, then forget the old one; it takes half a minute. Machines\n" +
				"that are away get it when they are back. Interrupted, it can be called again.",
			Action: rotateGossip,
		}},
	})
}

func rotateGossip(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		done, err := head.RotateGossip(c.Context)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("the ring has a new key, which %d nodes know", done.Nodes)
		if done.Nodes == 1 {
			text = "the ring has a new key, which 1 node knows"
		}
		if len(done.Away) > 0 {
			text += "; these get it when they are back: " + strings.Join(done.Away, ", ")
		}
		_, err = fmt.Fprintln(c.App.Writer, text)
		return err
	})
}
