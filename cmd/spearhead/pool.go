package main

import (
	"fmt"
	"strings"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/zfs"
)

func poolCommand() *cli.Command {
	return group(cli.Command{
		Name:        "pool",
		Usage:       "the ZFS pools of this machine, which nodes keep containers and volumes on",
		Description: "Run it as root on a node. An agent uses a pool by storage.kind and storage.dataset in agent.toml.",
		Subcommands: []*cli.Command{
			{Name: "ls", Usage: "list the pools, how full and how healthy they are", Action: listPools},
			{Name: "show", Usage: "show a pool's disks and what is wrong with them", ArgsUsage: "POOL", Action: showPool},
			{
				Name: "create", Usage: "make a pool of disks that nothing uses", ArgsUsage: "POOL DISK...",
				Description: "Disks that are mounted, hold a file system or belong to another pool are refused. A mirror\n" +
					"and a raidz survive the loss of one disk, a raidz2 of two, a stripe of none.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "layout", Value: "mirror", Usage: "`LAYOUT` mirror, raidz, raidz2, raidz3 or stripe"},
					&cli.StringFlag{Name: "mountpoint", Usage: "`PATH` of the pool's files; without it, /POOL"},
				},
				Action: createPool,
			},
		},
	})
}

func listPools(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	all, err := zfs.NewPools(nil, nil).List(c.Context)
	if err != nil {
		return err
	}
	rows := newTable(c.App.Writer, "POOL", "SIZE", "USED", "FREE", "FULL", "HEALTH")
	for _, p := range all {
		rows.add(p.Name, size(p.Size), units.BytesSize(float64(p.Allocated)), size(p.Free), fmt.Sprintf("%d%%", p.Full()), p.Health)
	}
	return rows.print()
}

func showPool(c *cli.Context) error {
	args, err := arguments(c, "POOL")
	if err != nil {
		return err
	}
	p, err := zfs.NewPools(nil, nil).Show(c.Context, args[0])
	if err != nil {
		return err
	}
	rows := newTable(c.App.Writer, "DISK", "STATE", "READ ERRORS", "WRITE ERRORS", "CHECKSUM ERRORS")
	for _, v := range p.Vdevs {
		rows.add(strings.Repeat("  ", v.Depth)+v.Name, v.State, v.Read, v.Write, v.Checksum)
	}
	if err := rows.print(); err != nil {
		return err
	}
	for _, line := range []struct{ name, text string }{
		{"full", fmt.Sprintf("%d%% of %s", p.Full(), units.BytesSize(float64(p.Size)))}, {"status", p.Status}, {"scan", p.Scan}, {"errors", p.Errors},
	} {
		if line.text == "" {
			continue
		}
		if _, err := fmt.Fprintf(c.App.Writer, "%s: %s\n", line.name, line.text); err != nil {
			return err
		}
	}
	return nil
}

func createPool(c *cli.Context) error {
	words := c.Args().Slice()
	if len(words) < 2 {
		return usageErrorf("%s: POOL and the DISKs are missing", commandPath(c))
	}
	made := zfs.CreatePool{Name: words[0], Layout: c.String("layout"), Disks: words[1:], Mountpoint: c.String("mountpoint")}
	if err := zfs.NewPools(nil, nil).Create(c.Context, made); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.App.Writer, "pool %s made; in agent.toml: [storage] kind = \"zfs\", dataset = \"%s/spearhead\"\n", made.Name, made.Name)
	return err
}
