package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
)

func volumeCommand() *cli.Command {
	return operatorGroup(cli.Command{
		Name:  "volume",
		Usage: "volumes: what docker has no words for",
		Description: "Users make, mount and remove volumes with docker. VOLUME is an account's login and the\n" +
			"volume's name: jill/data. All but ls needs nodes with ZFS.",
		Subcommands: []*cli.Command{
			{Name: "ls", Usage: "list the volumes of all accounts", Action: listVolumes},
			{
				Name: "default-size", Usage: "show or change the size of volumes that are made without one", ArgsUsage: "[SIZE]",
				Description: "SIZE has a unit of 1024: 10g; 0 is without bound. Volumes that are there keep theirs.",
				Action:      defaultVolumeSize,
			},
			{Name: "snapshot", Usage: "take a snapshot, also while the volume is in use", ArgsUsage: "VOLUME SNAPSHOT", Action: takeSnapshot},
			{Name: "snapshots", Usage: "list a volume's snapshots", ArgsUsage: "VOLUME", Action: listSnapshots},
			{Name: "rm-snapshot", Usage: "remove a snapshot", ArgsUsage: "VOLUME SNAPSHOT", Action: removeSnapshot},
			{
				Name: "restore", Usage: "make a volume what it was at a snapshot", ArgsUsage: "VOLUME SNAPSHOT",
				Description: "Containers that run and mount it must be stopped before. Snapshots that are newer are lost.",
				Action:      restoreVolume,
			},
			{
				Name: "clone", Usage: "make a new volume of another", ArgsUsage: "VOLUME NAME",
				Flags:  []cli.Flag{&cli.StringFlag{Name: "snapshot", Usage: "of a `SNAPSHOT`, and not of the files of this moment"}},
				Action: cloneVolume,
			},
			{
				Name: "resize", Usage: "change how much a volume may hold, also while it is in use", ArgsUsage: "VOLUME SIZE",
				Description: "SIZE has a unit of 1024: 512m, 10g; 0 takes the bound away.",
				Action:      resizeVolume,
			},
			{
				Name: "send", Usage: "write a volume as a stream to a file, or to standard output", ArgsUsage: "VOLUME",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "snapshot", Usage: "a `SNAPSHOT`, and not the files of this moment"},
					&cli.StringFlag{Name: "base", Usage: "only what changed since this older `SNAPSHOT`"},
					&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "a `FILE`, which must not exist"},
				},
				Action: sendVolume,
			},
			{
				Name: "receive", Usage: "make a volume of a stream from a file, or from standard input", ArgsUsage: "VOLUME",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "node", Usage: "on this `NODE`; without it, on the one with most disk to spare"},
					&cli.StringFlag{Name: "size", Usage: "may hold `SIZE`; without it, any number of bytes"},
					&cli.StringFlag{Name: "input", Aliases: []string{"i"}, Usage: "a `FILE`"},
					&cli.BoolFlag{Name: "changes", Usage: "add to a volume that is there what was sent with --base"},
				},
				Action: receiveVolume,
			},
			{
				Name: "move", Usage: "bring a volume that no container mounts to another node", ArgsUsage: "VOLUME NODE",
				Description: "Its snapshots go with it. Run it on the head that leads.",
				Action:      moveVolume,
			},
		},
	})
}

// onVolume calls a head about the volume that the first argument names.
func onVolume(c *cli.Context, names []string, call func(head *adminapi.Client, login, name string, args []string) error) error {
	args, err := arguments(c, append([]string{"VOLUME"}, names...)...)
	if err != nil {
		return err
	}
	login, name, ok := strings.Cut(args[0], "/")
	if !ok || login == "" || name == "" {
		return usageErrorf("%s: %q is no volume: write LOGIN/NAME", commandPath(c), args[0])
	}
	return operator(c, func(head *adminapi.Client) error { return call(head, login, name, args[1:]) })
}

func listVolumes(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		all, err := head.AllVolumes(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "VOLUME", "SIZE", "USED", "NODE", "CONTAINERS", "STATE", "CREATED")
		for _, v := range all {
			used := ""
			if v.Used != nil {
				used = units.BytesSize(float64(*v.Used))
			}
			rows.add(v.Login+"/"+v.Name, size(v.Size), used, v.Node, v.Containers, volumeState(&v), v.Created.Format(time.RFC3339))
		}
		return rows.print()
	})
}

func volumeState(v *adminapi.VolumeStatus) string {
	switch {
	case v.Incomplete:
		return "incomplete"
	case v.Moving():
		return "moving"
	case v.NodeID == "":
		return "unused"
	}
	return "ready"
}

func defaultVolumeSize(c *cli.Context) error {
	words := c.Args().Slice()
	if len(words) > 1 {
		return usageErrorf("%s: %q is one argument too many", commandPath(c), words[1])
	}
	return operator(c, func(head *adminapi.Client) error {
		if len(words) == 1 {
			bytes, err := volumeSize(words[0])
			if err != nil {
				return err
			}
			return head.SetDefaultVolumeSize(c.Context, bytes)
		}
		bytes, err := head.DefaultVolumeSize(c.Context)
		if err != nil {
			return err
		}
		text := size(bytes)
		if bytes == 0 {
			text = "without bound"
		}
		_, err = fmt.Fprintln(c.App.Writer, text)
		return err
	})
}

// volumeSize reads a size with a unit, or 0 for none.
func volumeSize(text string) (int64, error) {
	bytes, err := units.RAMInBytes(text)
	if err != nil || bytes != 0 && bytes < 1<<20 {
		return 0, usageErrorf("%q is not a size such as 512m or 10g, of 1m at least, or 0", text)
	}
	return bytes, nil
}

func takeSnapshot(c *cli.Context) error {
	return onVolume(c, []string{"SNAPSHOT"}, func(head *adminapi.Client, login, name string, args []string) error {
		return head.Snapshot(c.Context, login, name, args[0])
	})
}

func listSnapshots(c *cli.Context) error {
	return onVolume(c, nil, func(head *adminapi.Client, login, name string, _ []string) error {
		all, err := head.Snapshots(c.Context, login, name)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "SNAPSHOT", "USED", "CREATED")
		for _, s := range all {
			rows.add(s.Name, units.BytesSize(float64(s.Used)), s.Created.Format(time.RFC3339))
		}
		return rows.print()
	})
}

func removeSnapshot(c *cli.Context) error {
	return onVolume(c, []string{"SNAPSHOT"}, func(head *adminapi.Client, login, name string, args []string) error {
		return head.RemoveSnapshot(c.Context, login, name, args[0])
	})
}

func restoreVolume(c *cli.Context) error {
	return onVolume(c, []string{"SNAPSHOT"}, func(head *adminapi.Client, login, name string, args []string) error {
		return head.RestoreVolume(c.Context, login, name, args[0])
	})
}

func cloneVolume(c *cli.Context) error {
	return onVolume(c, []string{"NAME"}, func(head *adminapi.Client, login, name string, args []string) error {
		return head.CloneVolume(c.Context, login, name, adminapi.CloneRequest{Snapshot: c.String("snapshot"), To: args[0]})
	})
}

func resizeVolume(c *cli.Context) error {
	return onVolume(c, []string{"SIZE"}, func(head *adminapi.Client, login, name string, args []string) error {
		bytes, err := volumeSize(args[0])
		if err != nil {
			return err
		}
		return head.ResizeVolume(c.Context, login, name, bytes)
	})
}

func moveVolume(c *cli.Context) error {
	return onVolume(c, []string{"NODE"}, func(head *adminapi.Client, login, name string, args []string) error {
		return head.MoveVolume(c.Context, login, name, args[0])
	})
}

// sendVolume leaves no half file behind.
func sendVolume(c *cli.Context) error {
	return onVolume(c, nil, func(head *adminapi.Client, login, name string, _ []string) (err error) {
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
	return onVolume(c, nil, func(head *adminapi.Client, login, name string, _ []string) error {
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
