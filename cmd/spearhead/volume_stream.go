package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
)

func sendCommand() *cli.Command {
	return &cli.Command{
		Name: "send", Usage: "write a volume as a stream to a file, or to standard output", ArgsUsage: "VOLUME",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "snapshot", Usage: "a `SNAPSHOT`, and not the files of this moment"},
			&cli.StringFlag{Name: "base", Usage: "only what changed since this older `SNAPSHOT`"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "a `FILE`, which must not exist"},
		},
		Action: sendVolume,
	}
}

func receiveCommand() *cli.Command {
	return &cli.Command{
		Name: "receive", Usage: "make a volume of a stream from a file, or from standard input", ArgsUsage: "VOLUME",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "node", Usage: "on this `NODE`; without it, on the one with most disk to spare"},
			&cli.StringFlag{Name: "size", Usage: "may hold `SIZE`; without it, any number of bytes"},
			&cli.StringFlag{Name: "input", Aliases: []string{"i"}, Usage: "a `FILE`"},
			&cli.BoolFlag{Name: "changes", Usage: "add to a volume that is there what was sent with --base"},
		},
		Action: receiveVolume,
	}
}

func sendVolume(c *cli.Context) error {
	return onAnyVolume(c, nil, func(head *adminapi.Client, login, name string, _ []string) error {
		send := func(to io.Writer) error {
			return head.SendVolume(c.Context, login, name, c.String("snapshot"), c.String("base"), to)
		}
		if path := c.String("output"); path != "" {
			return writeNew(path, send)
		}
		return send(c.App.Writer)
	})
}

// writeNew makes a file of what write writes. Where that fails it leaves none:
// half a stream must not be taken for a backup.
func writeNew(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write the stream: %w", err)
	}
	if err = write(file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func receiveVolume(c *cli.Context) error {
	return onAnyVolume(c, nil, func(head *adminapi.Client, login, name string, _ []string) error {
		from, bytes := io.Reader(os.Stdin), int64(0)
		if path := c.String("input"); path != "" {
			file, err := os.Open(path)
			if err != nil {
				return fmt.Errorf("cannot read the stream: %w", err)
			}
			defer file.Close()
			from = file
		}
		if c.Bool("changes") {
			if c.IsSet("node") || c.IsSet("size") {
				return usageErrorf("--changes: a volume that is there has its node and its size")
			}
			return head.ReceiveChanges(c.Context, login, name, from)
		}
		if text := c.String("size"); text != "" {
			var err error
			if bytes, err = volumeSize(text); err != nil {
				return err
			}
		}
		return head.ReceiveVolume(c.Context, login, name, c.String("node"), bytes, from)
	})
}
