package main

import (
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

// sendVolume leaves no half file behind.
func sendVolume(c *cli.Context) error {
	return onAnyVolume(c, nil, func(head *adminapi.Client, login, name string, _ []string) (err error) {
		to, path := c.App.Writer, c.String("output")
		if path != "" {
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fmt.Errorf("cannot write the stream: %w", err)
			}
			defer func() {
				if closed := file.Close(); err == nil {
					err = closed
				}
				if err != nil {
					_ = os.Remove(path) // it is told that there is none
				}
			}()
			to = file
		}
		return head.SendVolume(c.Context, login, name, c.String("snapshot"), c.String("base"), to)
	})
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
