package main

import (
	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/accountapi"
	"github.com/spearheadcloud/spearhead/headnode/adminapi"
)

func usageCommand() *cli.Command {
	return &cli.Command{
		Name:        "usage",
		Usage:       "show how much an account has of what it may have",
		Description: sidesHelp,
		Flags:       append(sideFlags(), &cli.StringFlag{Name: "account", Usage: "for operators: the account's `LOGIN`"}),
		Action:      showUsage,

		OnUsageError:    usageError,
		HideHelpCommand: true,
	}
}

func showUsage(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return bySide(c, func(own *accountapi.Client) error {
		use, err := own.Usage(c.Context)
		if err != nil {
			return err
		}
		return printLimits(c, use.Limits, use.Used)
	}, func(head *adminapi.Client) error {
		if err := require(c, "account"); err != nil {
			return err
		}
		use, err := head.Limits(c.Context, c.String("account"))
		if err != nil {
			return err
		}
		return printLimits(c, use.Limits, use.Used)
	})
}
