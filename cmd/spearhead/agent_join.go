package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/agent"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki/join"
)

// tokenFlag takes a join token, from the command line, a file or the
// environment: what is on a command line, others on the machine can see.
var tokenFlag = cli.StringFlag{
	Name: "token", EnvVars: []string{"SPEARHEAD_TOKEN"}, Usage: "the join `TOKEN` that spearhead token create printed, or @FILE that holds it",
}

// givenToken is the token that the flag names.
func givenToken(c *cli.Context) (model.TokenText, error) {
	if err := require(c, tokenFlag.Name); err != nil {
		return model.TokenText{}, err
	}
	text := c.String(tokenFlag.Name)
	if path, isFile := strings.CutPrefix(text, "@"); isFile {
		data, err := os.ReadFile(path)
		if err != nil {
			return model.TokenText{}, fmt.Errorf("cannot read the token: %w", err)
		}
		text = string(data)
	}
	return model.ParseToken(text)
}

func agentJoinCommand() *cli.Command {
	return &cli.Command{
		Name: "join", Usage: "make this machine a node of a data center", ArgsUsage: "HEAD[:PORT]",
		Description: "HEAD is a head's name or address, as users' clients reach it (port 2376 unless named). The token, which\n" +
			"spearhead token create --role node prints on a head, tells the right data center from any other before\n" +
			"anything secret is sent. The command waits until an operator has approved the node (spearhead node approve);\n" +
			"when it is interrupted it can be called again with the same token.",
		Flags: append(configFlags(defaultAgentConfig), &tokenFlag,
			&cli.StringFlag{Name: "address", Usage: "where heads reach this machine's agent, `HOST:PORT`; by default advertise of the configuration, or the address that the head sees and the port of wire_listen"},
			&cli.BoolFlag{Name: "force", Usage: "replace the identity that the machine has; its agent must not run"},
		),
		Action: joinAgent,
	}
}

func joinAgent(c *cli.Context) error {
	args, err := arguments(c, "HEAD")
	if err != nil {
		return err
	}
	token, err := givenToken(c)
	if err != nil {
		return err
	}
	config, err := agentConfig(c)
	if err != nil {
		return err
	}
	answer, err := agent.Join(c.Context, config, agent.JoinRequest{
		Head: args[0], Token: token, Address: c.String("address"), Force: c.Bool("force"),
		Pending: func(a join.Answer) {
			fmt.Fprintf(c.App.ErrWriter, "%s waits for approval, under the id %s and the address %s; approve it on a head with: spearhead node approve %s\n",
				config.Name, model.ShortID(a.ID), a.Address, config.Name)
		},
	})
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("cannot write this machine's identity: run the command as root: %w", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "this machine is the node %s of the data center %s; heads will dial %s. Start its agent: systemctl enable --now spearhead-agent\n",
		config.Name, answer.DataCenter, answer.Address)
	return err
}
