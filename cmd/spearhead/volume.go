package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/accountapi"
	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/headnode/transfers"
	"github.com/spearheadcloud/spearhead/model"
)

func volumeCommand() *cli.Command {
	return sidedGroup(cli.Command{
		Name:  "volume",
		Usage: "volumes: what docker has no words for",
		Description: "Volumes are made, mounted and removed with docker. VOLUME is a volume's name; an operator writes the\n" +
			"account's login before it: jill/data. All but ls, rename and move need nodes with ZFS.",
		Subcommands: []*cli.Command{
			{Name: "ls", Usage: "list the volumes; an operator sees those of all accounts", Action: listVolumes},
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
			{Name: "rename", Usage: "give a volume that no container mounts another name", ArgsUsage: "VOLUME NAME", Action: renameVolume},
			sendCommand(),
			receiveCommand(),
			{
				Name: "move", Usage: "bring a volume that no container mounts to another node", ArgsUsage: "VOLUME NODE",
				Description: "Its snapshots go with it. If that cannot be done it stays. The move goes on if the command is ended.",
				Flags:       []cli.Flag{rateFlag()},
				Action:      moveVolume,
			},
		},
	}, "default-size", "send", "receive", "move")
}

// volumeWork is what both sides do with one account's volumes.
type volumeWork interface {
	Snapshots(ctx context.Context, name string) ([]model.VolumeSnapshot, error)
	Snapshot(ctx context.Context, name, snapshot string) error
	RemoveSnapshot(ctx context.Context, name, snapshot string) error
	RestoreVolume(ctx context.Context, name, snapshot string) error
	ResizeVolume(ctx context.Context, name string, size int64) error
	RenameVolume(ctx context.Context, name, to string) error
	CloneVolume(ctx context.Context, name, snapshot, to string) error
}

// onVolume does something with the volume that the first argument names.
func onVolume(c *cli.Context, names []string, work func(all volumeWork, name string, args []string) error) error {
	args, err := arguments(c, append([]string{"VOLUME"}, names...)...)
	if err != nil {
		return err
	}
	return bySide(c, func(own *accountapi.Client) error {
		if strings.Contains(args[0], "/") {
			return usageErrorf("%s: %q is no volume: a profile names its own, without the login before it", commandPath(c), args[0])
		}
		return work(own, args[0], args[1:])
	}, func(head *adminapi.Client) error {
		login, name, err := loginAndName(c, args[0])
		if err != nil {
			return err
		}
		return work(volumesOf{head, login}, name, args[1:])
	})
}

// loginAndName takes apart how operators name a volume.
func loginAndName(c *cli.Context, text string) (login, name string, err error) {
	login, name, ok := strings.Cut(text, "/")
	if !ok || login == "" || name == "" {
		return "", "", usageErrorf("%s: %q is no volume: an operator writes LOGIN/NAME", commandPath(c), text)
	}
	return login, name, nil
}

func listVolumes(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return bySide(c, func(own *accountapi.Client) error {
		all, err := own.Volumes(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "VOLUME", "SIZE", "USED", "CONTAINERS", "STATE", "CREATED")
		for _, v := range all {
			rows.add(v.Name, size(v.Size), bytesIfKnown(v.Used), v.Containers, v.State, v.Created.Format(time.RFC3339))
		}
		return rows.print()
	}, func(head *adminapi.Client) error {
		all, err := head.AllVolumes(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "VOLUME", "SIZE", "USED", "NODE", "CONTAINERS", "STATE", "CREATED")
		for _, v := range all {
			rows.add(v.Login+"/"+v.Name, size(v.Size), bytesIfKnown(v.Used), v.Node, v.Containers, v.State(), v.Created.Format(time.RFC3339))
		}
		return rows.print()
	})
}

func bytesIfKnown(n *int64) string {
	if n == nil {
		return ""
	}
	return units.BytesSize(float64(*n))
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
	return onVolume(c, []string{"SNAPSHOT"}, func(all volumeWork, name string, args []string) error {
		return all.Snapshot(c.Context, name, args[0])
	})
}

func listSnapshots(c *cli.Context) error {
	return onVolume(c, nil, func(all volumeWork, name string, _ []string) error {
		snapshots, err := all.Snapshots(c.Context, name)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "SNAPSHOT", "USED", "CREATED")
		for _, s := range snapshots {
			rows.add(s.Name, units.BytesSize(float64(s.Used)), s.Created.Format(time.RFC3339))
		}
		return rows.print()
	})
}

func removeSnapshot(c *cli.Context) error {
	return onVolume(c, []string{"SNAPSHOT"}, func(all volumeWork, name string, args []string) error {
		return all.RemoveSnapshot(c.Context, name, args[0])
	})
}

func restoreVolume(c *cli.Context) error {
	return onVolume(c, []string{"SNAPSHOT"}, func(all volumeWork, name string, args []string) error {
		return all.RestoreVolume(c.Context, name, args[0])
	})
}

func cloneVolume(c *cli.Context) error {
	return onVolume(c, []string{"NAME"}, func(all volumeWork, name string, args []string) error {
		return all.CloneVolume(c.Context, name, c.String("snapshot"), args[0])
	})
}

func renameVolume(c *cli.Context) error {
	return onVolume(c, []string{"NAME"}, func(all volumeWork, name string, args []string) error {
		return all.RenameVolume(c.Context, name, args[0])
	})
}

func resizeVolume(c *cli.Context) error {
	return onVolume(c, []string{"SIZE"}, func(all volumeWork, name string, args []string) error {
		bytes, err := volumeSize(args[0])
		if err != nil {
			return err
		}
		return all.ResizeVolume(c.Context, name, bytes)
	})
}

func moveVolume(c *cli.Context) error {
	bytes, err := rate(c)
	if err != nil {
		return err
	}
	return onAnyVolume(c, []string{"NODE"}, func(head *adminapi.Client, login, name string, args []string) error {
		bar := newProgress(c.App.Writer)
		defer bar.end()
		return head.MoveVolume(c.Context, login, name, adminapi.MoveVolumeRequest{Node: args[0], Rate: bytes},
			func(p transfers.Progress) { bar.tell(login+"/"+name, p) })
	})
}
