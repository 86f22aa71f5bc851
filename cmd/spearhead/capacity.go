package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
)

func capacityCommand() *cli.Command {
	return &cli.Command{
		Name:  "capacity",
		Usage: "tell how many more containers fit, by node and in sum",
		Description: "Of each package that is offered, or of one package or size, then by node too. What is promised counts, not\n" +
			"what is used at the moment; nodes that do not answer are not counted.\n\n" +
			"Run it as root on a head: the command goes through the operator's socket there.",
		Flags: []cli.Flag{
			socketFlag(),
			&cli.StringFlag{Name: "package", Usage: "of the package `NAME`"},
			&cli.StringFlag{Name: "memory", Aliases: []string{"m"}, Usage: "of containers with memory of this `SIZE`, such as 4g"},
			&cli.Float64Flag{Name: "cpus", Usage: "with so many `CORES`"},
			&cli.StringFlag{Name: "disk", Usage: "with a disk of this `SIZE`"},
		},
		OnUsageError: usageError,
		Action:       showCapacity,
	}
}

func showCapacity(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	asked, err := capacityRequest(c)
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		all, err := head.Capacity(c.Context, asked)
		if err != nil || len(all) == 0 {
			return err
		}
		slices.SortStableFunc(all, func(a, b adminapi.Capacity) int { return cmp.Compare(a.Need.Memory, b.Need.Memory) })
		rows := newTable(c.App.Writer, "PACKAGE", "MEMORY", "CORES", "DISK", "FIT", "NODES WITH ROOM")
		for _, k := range all {
			room := 0
			for _, n := range k.Nodes {
				if n.Connected && n.Fits > 0 {
					room++
				}
			}
			rows.add(k.Package, size(k.Need.Memory), cores(k.Need.CPU), size(k.Need.Disk), k.Total, fmt.Sprintf("%d of %d", room, len(k.Nodes)))
		}
		if err := rows.print(); err != nil || len(all) > 1 {
			return err
		}
		nodes := newTable(c.App.Writer, "NODE", "FIT", "CONNECTED")
		for _, n := range all[0].Nodes {
			nodes.add(n.Node, n.Fits, yes(n.Connected))
		}
		return nodes.print()
	})
}

func capacityRequest(c *cli.Context) (r adminapi.CapacityRequest, err error) {
	r.Package = c.String("package")
	if r.Package != "" && (c.IsSet("memory") || c.IsSet("cpus") || c.IsSet("disk")) {
		return r, usageErrorf("--package and a size exclude each other")
	}
	for flag, into := range map[string]*int64{"memory": &r.Size.Memory, "disk": &r.Size.Disk} {
		if text := c.String(flag); text != "" {
			if *into, err = units.RAMInBytes(text); err != nil {
				return r, usageErrorf("--%s %s is not a size such as 512m or 4g", flag, text)
			}
		}
	}
	r.Size.CPU = int64(math.Round(c.Float64("cpus") * 1000))
	return r, nil
}
