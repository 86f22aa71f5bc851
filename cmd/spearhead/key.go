package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
)

func keyCommand() *cli.Command {
	return operatorGroup(cli.Command{
		Name:  "key",
		Usage: "SSH keys by which accounts are known",
		Subcommands: []*cli.Command{
			{
				Name:        "add",
				Usage:       "add a public key to an account",
				ArgsUsage:   "LOGIN FILE",
				Description: "FILE is a public key as ssh-keygen writes it (id_ed25519.pub), or - for standard input.\nRSA of 2048 bits and more, ECDSA and Ed25519 keys are taken.",
				Flags:       []cli.Flag{&cli.StringFlag{Name: "name", Usage: "a `NAME` for the key; its comment by default"}},
				Action:      addKey,
			},
			{Name: "ls", Usage: "list the keys of an account", ArgsUsage: "LOGIN", Action: listKeys},
			{
				Name: "rm", Usage: "take a key from an account; its holder is shut out at the next request",
				ArgsUsage: "LOGIN KEY", Description: "KEY is the key's name or its SHA256 or MD5 fingerprint.",
				Action: removeKey,
			},
		},
	})
}

// keyFileLimit bounds a public key's file, in bytes.
const keyFileLimit = 64 << 10

func addKey(c *cli.Context) error {
	args, err := arguments(c, "LOGIN", "FILE")
	if err != nil {
		return err
	}
	text, err := readPublicKey(c.App.Reader, args[1])
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		key, err := head.AddKey(c.Context, args[0], c.String("name"), text)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.App.Writer, "account %s now has the key %s (%s)\n", args[0], key.Name, key.SHA256)
		return err
	})
}

func readPublicKey(stdin io.Reader, path string) (string, error) {
	input := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("cannot read the key: %w", err)
		}
		defer file.Close()
		input = file
	}
	data, err := io.ReadAll(io.LimitReader(input, keyFileLimit))
	if err != nil {
		return "", fmt.Errorf("cannot read the key: %w", err)
	}
	text := strings.TrimSpace(string(data))
	if strings.Contains(text, "PRIVATE KEY") {
		return "", errors.New("that is a private key, which nobody should be given: use the file of its public half, which ends in .pub")
	}
	return text, nil
}

func listKeys(c *cli.Context) error {
	args, err := arguments(c, "LOGIN")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		keys, err := head.Keys(c.Context, args[0])
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "NAME", "FINGERPRINT", "TYPE", "ADDED")
		for _, key := range keys {
			kind, _, _ := strings.Cut(key.Public, " ")
			rows.add(key.Name, key.SHA256, kind, key.Added.Format(time.RFC3339))
		}
		return rows.print()
	})
}

func removeKey(c *cli.Context) error {
	args, err := arguments(c, "LOGIN", "KEY")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error { return head.RemoveKey(c.Context, args[0], args[1]) })
}
