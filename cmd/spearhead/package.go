package main

import (
	"fmt"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

func packageCommand() *cli.Command {
	return operatorGroup(cli.Command{
		Name:  "package",
		Usage: "packages: the sizes of containers that are offered",
		Subcommands: []*cli.Command{
			{
				Name:        "create",
				Usage:       "offer a package, or change one",
				ArgsUsage:   "NAME",
				Description: "Sizes are numbers with a unit of 1024: 512m, 2g. Containers that exist keep what they have.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "memory", Usage: "RAM, a `SIZE`"},
					&cli.StringFlag{Name: "swap", Usage: "swap beside it, a `SIZE`"},
					&cli.Float64Flag{Name: "cpus", Usage: "cap in `CORES`, 0.5 or 2; 0 is without cap"},
					&cli.Int64Flag{Name: "cpu-shares", Usage: "`WEIGHT` against others when CPU is short; 0 is the kernel's 1024"},
					&cli.StringFlag{Name: "disk", Usage: "quota of the root, a `SIZE`, where the node's storage can hold to it; 0 is without quota"},
					&cli.Int64Flag{Name: "pids", Usage: "most processes and threads, a `NUMBER`; 0 is without limit"},
					&cli.BoolFlag{Name: "default", Usage: "for containers that ask for no size"},
					&cli.BoolFlag{Name: "retired", Usage: "new containers cannot have it"},
				},
				Action: createPackage,
			},
			{Name: "ls", Usage: "list the packages", Action: listPackages},
		},
	})
}

func createPackage(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	if err := require(c, "memory"); err != nil {
		return err
	}
	made := model.Package{
		Name: args[0], CPUCap: int64(c.Float64("cpus") * 1000), CPUShares: c.Int64("cpu-shares"),
		Pids: c.Int64("pids"), Active: !c.Bool("retired"), Default: c.Bool("default"),
	}
	for _, field := range []struct {
		flag string
		into *int64
	}{{"memory", &made.Memory}, {"swap", &made.Swap}, {"disk", &made.Disk}} {
		if text := c.String(field.flag); text != "" {
			*field.into, err = units.RAMInBytes(text)
			if err != nil {
				return usageErrorf("--%s %s is not a size such as 512m or 2g", field.flag, text)
			}
		}
	}
	return operator(c, func(head *adminapi.Client) error {
		if err := head.PutPackage(c.Context, made); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.App.Writer, "package %s: %s of memory\n", made.Name, units.BytesSize(float64(made.Memory)))
		return err
	})
}

func listPackages(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		packages, err := head.Packages(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "NAME", "MEMORY", "SWAP", "CORES", "SHARES", "DISK", "PROCESSES", "OFFERED", "DEFAULT")
		for _, p := range packages {
			rows.add(p.Name, size(p.Memory), size(p.Swap), cores(p.CPUCap), number(p.CPUShares), size(p.Disk), number(p.Pids), yes(p.Active), yes(p.Default))
		}
		return rows.print()
	})
}

// size, cores and number show a limit, and nothing where there is none.
func size(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return units.BytesSize(float64(bytes))
}

func cores(thousandths int64) string {
	if thousandths == 0 {
		return ""
	}
	return fmt.Sprintf("%g", float64(thousandths)/1000)
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
