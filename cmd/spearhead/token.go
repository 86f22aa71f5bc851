package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

func tokenCommand() *cli.Command {
	return operatorGroup(cli.Command{
		Name:  "token",
		Usage: "join tokens: each lets one machine become a head or a node",
		Subcommands: []*cli.Command{
			{
				Name:  "create",
				Usage: "make a token and print it, this once",
				Description: "The token alone goes to standard output. Give it to the machine that joins over a way that you\n" +
					"trust: who has it can be a member in that machine's place. It carries the fingerprint of the data\n" +
					"center's CA, by which the machine recognizes the heads.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "role", Usage: "what the machine becomes: `ROLE` head or node"},
					&cli.DurationFlag{Name: "ttl", Value: time.Hour, Usage: "how long it can be used, a `DURATION` such as 30m or 24h"},
					&cli.BoolFlag{Name: "approve", Usage: "the node that uses it needs no approval"},
				},
				Action: createToken,
			},
			{Name: "ls", Usage: "list the tokens", Action: listTokens},
			{Name: "rm", Usage: "take a token back; a machine that has used it stays", ArgsUsage: "ID", Action: removeToken},
		},
	})
}

func createToken(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if err := require(c, "role"); err != nil {
		return err
	}
	role := c.String("role")
	if role != model.RoleHead && role != model.RoleNode {
		return usageErrorf("--role %s: it is head or node", role)
	}
	return operator(c, func(head *adminapi.Client) error {
		made, err := head.CreateToken(c.Context, adminapi.TokenRequest{Role: role, Life: c.Duration("ttl"), Approve: c.Bool("approve")})
		if err != nil {
			return err
		}
		command := "spearhead agent join HEAD --token TOKEN"
		if role == model.RoleHead {
			command = "spearhead head join HEAD --token TOKEN"
		}
		fmt.Fprintf(c.App.ErrWriter, "until %s one machine can join with: %s\n", made.Token.Expires.Local().Format(time.RFC3339), command)
		_, err = fmt.Fprintln(c.App.Writer, made.Text)
		return err
	})
}

func listTokens(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		tokens, err := head.Tokens(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "ID", "ROLE", "STATE", "APPROVES", "EXPIRES")
		for _, t := range tokens {
			rows.add(t.ID, t.Role, tokenState(t, time.Now()), yes(t.Approve), t.Expires.Local().Format(time.RFC3339))
		}
		return rows.print()
	})
}

func tokenState(t model.Token, now time.Time) string {
	switch {
	case t.Machine != "":
		return "used by " + model.ShortID(t.Machine)
	case now.After(t.Expires):
		return "expired"
	}
	return "unused"
}

func removeToken(c *cli.Context) error {
	args, err := arguments(c, "ID")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error { return head.RemoveToken(c.Context, args[0]) })
}
