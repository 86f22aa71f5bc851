package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

func fwruleCommand() *cli.Command {
	return operatorGroup(cli.Command{
		Name:  "fwrule",
		Usage: "firewall rules of accounts' containers",
		Description: "Without rules, containers may connect to anything, and are reached by the account's own on the\n" +
			"same network, and by everybody at published ports. A rule reads:\n\n" +
			"  FROM <targets> TO <targets> ALLOW|BLOCK <protocol> [PRIORITY 0-100]\n\n" +
			"  targets   any, all vms, ip ADDRESS, subnet ADDRESS/BITS, tag LABEL, tag LABEL = VALUE, vm ID,\n" +
			"            or several: (ip 10.0.0.7 OR tag role = www)\n" +
			"  protocol  tcp or udp with PORT 80, PORT all, PORTS 1-5, 9 or (PORT 80 AND PORT 443);\n" +
			"            icmp or icmp6 [TYPE 8 [CODE 0]]; ah; esp\n\n" +
			"The highest priority decides. Among equals ALLOW does for what comes in, and BLOCK for what goes out.",
		Subcommands: []*cli.Command{
			{
				Name: "create", Usage: "add a rule", ArgsUsage: "RULE",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "account", Usage: "the account's `LOGIN`; all accounts without it"},
					&cli.StringFlag{Name: "description", Usage: "a `TEXT` for people"},
					&cli.BoolFlag{Name: "disabled", Usage: "it is not to hold yet"},
				},
				Action: createRule,
			},
			{Name: "ls", Usage: "list the rules", Action: listRules},
			{
				Name: "update", Usage: "change a rule", ArgsUsage: "ID",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "rule", Usage: "the `RULE` that it is to be"},
					&cli.StringFlag{Name: "description", Usage: "a `TEXT` for people"},
				},
				Action: updateRule,
			},
			{Name: "enable", Usage: "let a rule hold", ArgsUsage: "ID", Action: enableRule(true)},
			{Name: "disable", Usage: "let a rule hold no more", ArgsUsage: "ID", Action: enableRule(false)},
			{Name: "rm", Usage: "remove a rule", ArgsUsage: "ID", Action: removeRule},
		},
	})
}

func createRule(c *cli.Context) error {
	args := c.Args().Slice()
	if len(args) == 0 {
		return usageErrorf("RULE is missing")
	}
	return operator(c, func(head *adminapi.Client) error {
		made, err := head.CreateRule(c.Context, c.String("account"), model.Rule{
			Text: strings.Join(args, " "), Enabled: !c.Bool("disabled"), Description: c.String("description"),
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.App.Writer, made.ID)
		return err
	})
}

func listRules(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		rules, err := head.Rules(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "ID", "ACCOUNT", "ENABLED", "RULE", "DESCRIPTION")
		for _, r := range rules {
			login := r.Login
			if r.AccountID == "" {
				login = "(all)"
			}
			rows.add(r.ID, login, yes(r.Enabled), r.Text, r.Description)
		}
		return rows.print()
	})
}

func updateRule(c *cli.Context) error {
	args, err := arguments(c, "ID")
	if err != nil {
		return err
	}
	var change adminapi.RuleChange
	if c.IsSet("rule") {
		text := c.String("rule")
		change.Text = &text
	}
	if c.IsSet("description") {
		text := c.String("description")
		change.Description = &text
	}
	return operator(c, func(head *adminapi.Client) error {
		_, err := head.ChangeRule(c.Context, args[0], change)
		return err
	})
}

func enableRule(enabled bool) cli.ActionFunc {
	return func(c *cli.Context) error {
		args, err := arguments(c, "ID")
		if err != nil {
			return err
		}
		return operator(c, func(head *adminapi.Client) error {
			_, err := head.ChangeRule(c.Context, args[0], adminapi.RuleChange{Enabled: &enabled})
			return err
		})
	}
}

func removeRule(c *cli.Context) error {
	args, err := arguments(c, "ID")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error { return head.RemoveRule(c.Context, args[0]) })
}
