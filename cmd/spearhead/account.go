package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

func accountCommand() *cli.Command {
	return operatorGroup(cli.Command{
		Name:  "account",
		Usage: "accounts: the tenants of the data center",
		Subcommands: []*cli.Command{
			{
				Name:      "create",
				Usage:     "make an account",
				ArgsUsage: "LOGIN",
				Description: "A tenant may ask for nothing that reaches outside of its containers. A trusted account\n" +
					"may also use host paths, privileged containers and host namespaces: that is root on the nodes.",
				Flags:  []cli.Flag{&cli.StringFlag{Name: "policy", Value: string(model.PolicyTenant), Usage: "what it may ask: `POLICY` tenant or trusted"}},
				Action: createAccount,
			},
			{Name: "ls", Usage: "list the accounts", Action: listAccounts},
			{Name: "rm", Usage: "remove an account that owns no containers any more", ArgsUsage: "LOGIN", Action: removeAccount},
			limitCommand(),
		},
	})
}

func createAccount(c *cli.Context) error {
	args, err := arguments(c, "LOGIN")
	if err != nil {
		return err
	}
	policy := model.Policy(c.String("policy"))
	if policy != model.PolicyTenant && policy != model.PolicyTrusted {
		return usageErrorf("--policy %s: it is tenant or trusted", policy)
	}
	return operator(c, func(head *adminapi.Client) error {
		account, err := head.CreateAccount(c.Context, args[0], policy)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.App.Writer, "account %s made (%s); give it a key with: spearhead key add %s FILE.pub\n", account.Login, account.Policy, account.Login)
		return err
	})
}

func listAccounts(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		accounts, err := head.Accounts(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "LOGIN", "POLICY", "KEYS", "CREATED", "ID")
		for _, account := range accounts {
			rows.add(account.Login, account.Policy, len(account.Keys), account.Created.Format(time.RFC3339), model.ShortID(account.ID))
		}
		return rows.print()
	})
}

func removeAccount(c *cli.Context) error {
	args, err := arguments(c, "LOGIN")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error { return head.RemoveAccount(c.Context, args[0]) })
}
