package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
)

// defaultSocket is where a head listens for its operator.
const defaultSocket = "/run/spearhead/head.sock"

// operatorGroup is a group of commands that a head carries out for its operator.
func operatorGroup(command cli.Command) *cli.Command {
	for _, sub := range command.Subcommands {
		sub.Flags = append(sub.Flags, socketFlag())
	}
	command.Description = strings.TrimSpace(command.Description + "\n\nRun it as root on a head: the commands go through the operator's socket there.")
	return group(command)
}

func socketFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "socket", Value: defaultSocket, EnvVars: []string{"SPEARHEAD_SOCKET"}, Usage: "the operator's socket of a head, a `PATH`",
	}
}

// operator calls the head behind the socket, and turns the ways in which there is none into
// sentences.
func operator(c *cli.Context, call func(*adminapi.Client) error) error {
	path := c.String("socket")
	client := adminapi.NewClient(path)
	defer client.Close()
	err := call(client)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("you may not use the operator's socket %s: run the command as root", path)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no head runs behind %s: start it (spearhead head run), or name another socket with --socket or SPEARHEAD_SOCKET; a rack's sockets are shown by: spearhead dev status", path)
	}
	return err
}
