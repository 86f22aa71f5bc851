package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
)

// Where a head listens for its operator, and what names another place.
const (
	defaultSocket  = "/run/spearhead/head.sock"
	socketVariable = "SPEARHEAD_SOCKET"
)

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
		Name: "socket", Value: defaultSocket, EnvVars: []string{socketVariable}, Usage: "the operator's socket of a head, a `PATH`",
	}
}

// operator calls the head behind the socket, and turns the ways in which there is none into
// sentences.
func operator(c *cli.Context, call func(*adminapi.Client) error) error {
	path := cmp.Or(c.String("socket"), os.Getenv(socketVariable), defaultSocket)
	client := adminapi.NewClient(path)
	defer client.Close()
	err, otherwise := call(client), ""
	switch {
	case sided(c):
		otherwise = "; if you are a user of an account, speak as it with --profile NAME (spearhead profile ls)"
	case os.Getenv(profileVariable) != "":
		otherwise = "; this command is for operators, whatever " + profileVariable + " says"
	}
	var dial *net.OpError
	switch {
	case !errors.As(err, &dial): // it may be of a file that the command reads or writes
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("you may not use the operator's socket %s: run the command as root%s", path, otherwise)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no head runs behind %s: start it (spearhead head run), or name another socket with --socket or SPEARHEAD_SOCKET; a rack's sockets are shown by: spearhead dev status%s", path, otherwise)
	}
	return err
}
