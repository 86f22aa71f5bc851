package main

import (
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/cmd/spearhead/profile"
	"github.com/spearheadcloud/spearhead/headnode/accountapi"
	"github.com/spearheadcloud/spearhead/headnode/adminapi"
)

// profileVariable names the profile that commands speak as when no flag says otherwise.
const profileVariable = "SPEARHEAD_PROFILE"

// sidedGroup is a group of commands that accounts and operators both have: those of accounts
// go to the data center's address as a profile, those of operators through the socket of a
// head. Those that are operators' alone are named.
func sidedGroup(command cli.Command, operators ...string) *cli.Command {
	for _, sub := range command.Subcommands {
		switch {
		case len(sub.Subcommands) > 0:
			sub.Usage += " (operators)" // a group, which has its flags
		case slices.Contains(operators, sub.Name):
			sub.Usage += " (operators)"
			sub.Flags = append(sub.Flags, socketFlag(), &cli.StringFlag{Name: "profile", Hidden: true})
			sub.Before = refuseProfile
		default:
			sub.Flags = append(sub.Flags, sideFlags()...)
		}
	}
	command.Description = strings.TrimSpace(command.Description + "\n\n" + sidesHelp)
	return group(command)
}

const sidesHelp = "With --profile NAME, or with SPEARHEAD_PROFILE, which env.sh of a profile sets, you speak as your\n" +
	"account, from any machine. Without either you speak as an operator, as root on a head, through its socket."

func sideFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "profile", Usage: "speak as the account of this profile, a `NAME`; SPEARHEAD_PROFILE does the same"},
		&cli.StringFlag{Name: "socket", Usage: "speak as an operator through the socket of a head, a `PATH`; else SPEARHEAD_SOCKET, or " + defaultSocket},
	}
}

// refuseProfile is for commands that no account has. SPEARHEAD_PROFILE means nothing to them.
func refuseProfile(c *cli.Context) error {
	if c.IsSet("profile") {
		return usageErrorf("%s is for operators: run it as root on a head, without --profile", commandPath(c))
	}
	return nil
}

// speaker is the profile that a command speaks as; "" is the operator.
func speaker(c *cli.Context) (string, error) {
	switch {
	case c.IsSet("profile") && c.IsSet("socket"):
		return "", usageErrorf("--profile and --socket exclude each other")
	case c.IsSet("profile") && c.String("profile") == "":
		return "", usageErrorf("--profile needs a NAME; list yours with: spearhead profile ls")
	case c.IsSet("profile"):
		return c.String("profile"), nil
	case c.IsSet("socket"):
		return "", nil
	}
	return os.Getenv(profileVariable), nil
}

// bySide carries a command out as the account or as the operator, whoever speaks.
func bySide(c *cli.Context, asAccount func(*accountapi.Client) error, asOperator func(*adminapi.Client) error) error {
	name, err := speaker(c)
	if err != nil {
		return err
	}
	if name == "" {
		return operator(c, asOperator)
	}
	store, err := profile.UserStore()
	if err != nil {
		return err
	}
	door, err := store.Door(name)
	if err != nil {
		return err
	}
	if c.IsSet("account") {
		return usageErrorf("--account: the profile %s speaks for its own account, %s; leave the flag out", name, door.Profile.Account)
	}
	client := accountapi.NewClient(door.URL.String(), door.TLS)
	defer client.Close()
	return door.Explain(asAccount(client))
}

// sided tells whether a command could be an account's too.
func sided(c *cli.Context) bool {
	return slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool {
		named, ok := f.(*cli.StringFlag)
		return ok && named.Name == "profile" && !named.Hidden
	})
}
