package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

func networkPoolCommands() *cli.Command {
	return operatorGroup(cli.Command{
		Name:  "pool",
		Usage: "several external networks under one name",
		Description: "Containers ask for a pool as for a network, with --network POOL or the label\n" +
			"triton.network.public=POOL, and get an address of the first of its networks that has one left.",
		Subcommands: []*cli.Command{
			{
				Name: "create", Usage: "make a pool, or make one anew", ArgsUsage: "POOL NETWORK...",
				Description: "The networks have one NIC tag, and are used in the order in which they are named.",
				Flags: []cli.Flag{
					&cli.StringSliceFlag{Name: "account", Usage: "only the account with this `LOGIN` may use it; may be repeated"},
					&cli.BoolFlag{Name: "default", Usage: "containers that name no network get this pool"},
				},
				Action: createNetworkPool,
			},
			{Name: "ls", Usage: "list the pools", Action: listNetworkPools},
			{Name: "rm", Usage: "remove a pool; its networks, and what is on them, stay", ArgsUsage: "POOL", Action: removeNetworkPool},
		},
	})
}

func createNetworkPool(c *cli.Context) error {
	args := c.Args().Slice()
	if len(args) < 2 {
		return usageErrorf("POOL NETWORK... is missing")
	}
	return operator(c, func(head *adminapi.Client) error {
		return head.PutNetworkPool(c.Context, adminapi.NetworkPool{
			Name: args[0], Networks: args[1:], Accounts: c.StringSlice("account"), Default: c.Bool("default"),
		})
	})
}

func listNetworkPools(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		pools, err := head.NetworkPools(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "POOL", "NETWORKS", "FREE ADDRESSES", "ACCOUNTS", "DEFAULT")
		for _, p := range pools {
			rows.add(p.Name, strings.Join(p.Networks, " "), strings.Trim(fmt.Sprint(p.Free), "[]"), strings.Join(p.Accounts, " "), yes(p.Default))
		}
		return rows.print()
	})
}

func removeNetworkPool(c *cli.Context) error {
	args, err := arguments(c, "POOL")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error { return head.RemoveNetworkPool(c.Context, args[0]) })
}

func publishCommand() *cli.Command {
	return &cli.Command{
		Name: "publish", Usage: "show or change where published ports are reached", ArgsUsage: "[container|endpoint]",
		Description: "With container, a published port is reached at the container's own address only. With endpoint,\n" +
			"it is also reached at the address of each head, as with one docker host: then a number is one\n" +
			"container's at a time in the whole data center. Containers that are there stay as they are.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "account", Usage: "change it for the account with this `LOGIN`"},
			&cli.BoolFlag{Name: "reset", Usage: "with --account: what holds for the data center is to hold again"},
		},
		Action: setPublish,
	}
}

func setPublish(c *cli.Context) error {
	args, login := c.Args().Slice(), c.String("account")
	switch {
	case c.Bool("reset") && (login == "" || len(args) > 0):
		return usageErrorf("--reset needs --account, and nothing else")
	case c.Bool("reset"):
		args = []string{string(model.PublishDefault)}
	case len(args) == 0 && login == "":
		return operator(c, func(head *adminapi.Client) error { return showPublish(c, head) })
	case len(args) != 1 || args[0] == "":
		return usageErrorf("name one of container and endpoint")
	}
	return operator(c, func(head *adminapi.Client) error {
		return head.SetPublish(c.Context, adminapi.Publish{Login: login, Publish: model.Publish(args[0])})
	})
}

func showPublish(c *cli.Context, head *adminapi.Client) error {
	all, err := head.Publish(c.Context)
	if err != nil {
		return err
	}
	rows := newTable(c.App.Writer, "ACCOUNT", "PUBLISHED AT")
	for _, p := range all {
		login := p.Login
		if login == "" {
			login = "(all others)"
		}
		rows.add(login, p.Publish)
	}
	return rows.print()
}
