package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/accountapi"
	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

func fwruleCommand() *cli.Command {
	return sidedGroup(cli.Command{
		Name:  "fwrule",
		Usage: "firewall rules of accounts' containers",
		Description: "Without rules, containers may connect to anything, and are reached by the account's own on the\n" +
			"same network, and by everybody at published ports. A rule reads:\n\n" +
			"  FROM <targets> TO <targets> ALLOW|BLOCK <protocol> [PRIORITY 0-100]\n\n" +
			"  targets   any, all vms, ip ADDRESS, subnet ADDRESS/BITS, tag LABEL, tag LABEL = VALUE, vm ID,\n" +
			"            or several: (ip 10.0.0.7 OR tag role = www)\n" +
			"  protocol  tcp or udp with PORT 80, PORT all, PORTS 1-5, 9 or (PORT 80 AND PORT 443);\n" +
			"            icmp or icmp6 [TYPE 8 [CODE 0]]; ah; esp\n\n" +
			"The highest priority decides. Among equals ALLOW does for what comes in, and BLOCK for what goes out.\n" +
			"Accounts' own rules have a priority of 49 at most: what an operator gives a higher one, holds.",
		Subcommands: []*cli.Command{
			{
				Name: "create", Usage: "add a rule", ArgsUsage: "RULE",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "account", Usage: "for operators: the account's `LOGIN`; all accounts without it"},
					&cli.StringFlag{Name: "description", Usage: "a `TEXT` for people"},
					&cli.BoolFlag{Name: "disabled", Usage: "it is not to hold yet"},
				},
				Action: createRule,
			},
			{
				Name: "ls", Usage: "list the rules", Action: listRules,
				Flags: []cli.Flag{&cli.StringFlag{Name: "account", Usage: "for operators: only those of the account with this `LOGIN`"}},
			},
			{Name: "show", Usage: "show all of a rule", ArgsUsage: "ID", Action: showRule},
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
		return usageErrorf("fwrule create: RULE is missing")
	}
	text := strings.Join(args, " ")
	show := func(id string, err error) error {
		if err == nil {
			_, err = fmt.Fprintln(c.App.Writer, id)
		}
		return err
	}
	return bySide(c, func(own *accountapi.Client) error {
		made, err := own.CreateRule(c.Context, accountapi.NewRule{Text: text, Disabled: c.Bool("disabled"), Description: c.String("description")})
		return show(made.ID, err)
	}, func(head *adminapi.Client) error {
		made, err := head.CreateRule(c.Context, c.String("account"), model.Rule{Text: text, Enabled: !c.Bool("disabled"), Description: c.String("description")})
		return show(made.ID, err)
	})
}

func listRules(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return bySide(c, func(own *accountapi.Client) error {
		rules, err := own.Rules(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "ID", "ENABLED", "OPERATOR'S", "RULE", "DESCRIPTION")
		for _, r := range rules {
			rows.add(r.ID, yes(r.Enabled), yes(r.Fixed), r.Text, r.Description)
		}
		return rows.print()
	}, func(head *adminapi.Client) error {
		rules, err := head.Rules(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "ID", "ACCOUNT", "ENABLED", "RULE", "DESCRIPTION")
		for _, r := range rules {
			if only := c.String("account"); only == "" || only == r.Login {
				rows.add(r.ID, ruleOwner(&r), yes(r.Enabled), r.Text, r.Description)
			}
		}
		return rows.print()
	})
}

func ruleOwner(r *adminapi.RuleStatus) string {
	if r.AccountID == "" {
		return "(all)"
	}
	return r.Login
}

func showRule(c *cli.Context) error {
	args, err := arguments(c, "ID")
	if err != nil {
		return err
	}
	return bySide(c, func(own *accountapi.Client) error {
		r, err := own.Rule(c.Context, args[0])
		if err != nil {
			return err
		}
		return printRule(c, model.Rule{ID: r.ID, Text: r.Text, Enabled: r.Enabled, Description: r.Description, Created: r.Created},
			"operator's", yes(r.Fixed))
	}, func(head *adminapi.Client) error {
		rules, err := head.Rules(c.Context)
		if err != nil {
			return err
		}
		var found []adminapi.RuleStatus
		for _, r := range rules {
			if strings.HasPrefix(r.ID, args[0]) {
				found = append(found, r)
			}
		}
		if len(found) != 1 {
			return model.Errorf(model.KindNotFound, "%d firewall rules begin with %s; list them with: spearhead fwrule ls", len(found), args[0])
		}
		return printRule(c, found[0].Rule, "account", ruleOwner(&found[0]))
	})
}

func printRule(c *cli.Context, r model.Rule, more, value string) error {
	rows := newTable(c.App.Writer, "ID", r.ID)
	rows.add("rule", r.Text)
	rows.add("enabled", yes(r.Enabled))
	rows.add(more, value)
	rows.add("description", r.Description)
	rows.add("created", r.Created.Format(time.RFC3339))
	return rows.print()
}

func updateRule(c *cli.Context) error {
	var change model.RuleChange
	if c.IsSet("rule") {
		text := c.String("rule")
		change.Text = &text
	}
	if c.IsSet("description") {
		text := c.String("description")
		change.Description = &text
	}
	if change == (model.RuleChange{}) {
		return usageErrorf("fwrule update: --rule or --description is missing")
	}
	return changeRule(c, change)
}

func enableRule(enabled bool) cli.ActionFunc {
	return func(c *cli.Context) error { return changeRule(c, model.RuleChange{Enabled: &enabled}) }
}

func changeRule(c *cli.Context, change model.RuleChange) error {
	args, err := arguments(c, "ID")
	if err != nil {
		return err
	}
	return bySide(c, func(own *accountapi.Client) error {
		return own.ChangeRule(c.Context, args[0], change)
	}, func(head *adminapi.Client) error {
		_, err := head.ChangeRule(c.Context, args[0], change)
		return err
	})
}

func removeRule(c *cli.Context) error {
	args, err := arguments(c, "ID")
	if err != nil {
		return err
	}
	return bySide(c, func(own *accountapi.Client) error {
		return own.RemoveRule(c.Context, args[0])
	}, func(head *adminapi.Client) error {
		return head.RemoveRule(c.Context, args[0])
	})
}
