package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode/accountapi"
	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
)

func packageCommand() *cli.Command {
	return sidedGroup(cli.Command{
		Name:  "package",
		Usage: "packages: the sizes of containers that are offered",
		Subcommands: []*cli.Command{
			{
				Name:      "create",
				Usage:     "offer a package, or change one",
				ArgsUsage: "NAME",
				Description: "Sizes are numbers with a unit of 1024: 512m, 2g. A package that containers have keeps its\n" +
					"sizes; everything else of it can change.",
				Flags:  packageFlags(),
				Action: createPackage,
			},
			{Name: "ls", Usage: "list the packages", Action: listPackages},
			{Name: "show", Usage: "show all of a package", ArgsUsage: "NAME", Action: showPackage},
			{Name: "activate", Usage: "let new containers have a package", ArgsUsage: "NAME", Action: activatePackage(true)},
			{Name: "deactivate", Usage: "let no new container have a package", ArgsUsage: "NAME", Action: activatePackage(false)},
			{Name: "rm", Usage: "withdraw a package; containers that have it keep it", ArgsUsage: "NAME", Action: removePackage},
		},
	}, "create", "activate", "deactivate", "rm")
}

func packageFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "memory", Usage: "RAM, a `SIZE`"},
		&cli.StringFlag{Name: "swap", Usage: "swap beside it, a `SIZE`"},
		&cli.Float64Flag{Name: "cpus", Usage: "cap in `CORES`, 0.5 or 2; 0 is without cap"},
		&cli.Int64Flag{Name: "cpu-shares", Usage: "`WEIGHT` against others when CPU is short; 0 is the kernel's 1024"},
		&cli.StringFlag{Name: "disk", Usage: "quota of the root, a `SIZE`, where the node's storage can hold to it; 0 is without quota"},
		&cli.Int64Flag{Name: "pids", Usage: "most processes and threads, a `NUMBER`; 0 is the usual 1024"},
		&cli.UintFlag{Name: "io-weight", Usage: "`WEIGHT` against others when the disk is busy, 10 to 1000; 0 is the kernel's usual"},
		&cli.StringFlag{Name: "network-rate", Usage: "most bits a second of each NIC, `RATE` as 100m or 1g (units of 1000); 0 is without limit"},
		&cli.StringFlag{Name: "family", Usage: "a `NAME` for packages of one kind; sizes asked for in numbers are sought in the default package's family first"},
		&cli.IntFlag{Name: "rank", Usage: "a `NUMBER`: of packages of one size the lowest is chosen"},
		&cli.StringFlag{Name: "package-version", Usage: "your own `VERSION` of what it is made of"},
		&cli.StringSliceFlag{Name: "owner", Usage: "only the account with this `LOGIN` may have it; may be repeated"},
		&cli.StringSliceFlag{Name: "trait", Usage: "only for nodes with this `TRAIT`; may be repeated"},
		&cli.BoolFlag{Name: "default", Usage: "for containers that ask for no size"},
		&cli.BoolFlag{Name: "inactive", Usage: "new containers cannot have it yet", Aliases: []string{"retired"}},
	}
}

func createPackage(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	if err := require(c, "memory"); err != nil {
		return err
	}
	if weight := c.Uint("io-weight"); weight > 1000 {
		return usageErrorf("--io-weight %d: it is from 10 to 1000", weight)
	}
	made := model.Package{
		Name: args[0], CPUShares: c.Int64("cpu-shares"), Pids: c.Int64("pids"),
		IOWeight: uint16(c.Uint("io-weight")), Family: c.String("family"), Rank: c.Int("rank"), Version: c.String("package-version"),
		Traits: c.StringSlice("trait"), Active: !c.Bool("inactive"), Default: c.Bool("default"),
	}
	for _, field := range []struct {
		flag string
		into *int64
		read func(string) (int64, error)
	}{
		{"memory", &made.Memory, units.RAMInBytes}, {"swap", &made.Swap, units.RAMInBytes}, {"disk", &made.Disk, units.RAMInBytes},
		{"network-rate", &made.NetworkRate, units.FromHumanSize},
	} {
		if err := readSize(c, field.flag, field.into, field.read); err != nil {
			return err
		}
	}
	if most := c.Float64("cpus"); most != 0 {
		if made.CPUCap, err = inThousandths(most); err != nil {
			return err
		}
	}
	return operator(c, func(head *adminapi.Client) error {
		p, err := head.PutPackage(c.Context, adminapi.PackageRequest{Package: made, Owners: c.StringSlice("owner")})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.App.Writer, "package %s: %s of memory, id %s\n", p.Name, units.BytesSize(float64(p.Memory)), p.ID)
		return err
	})
}

// readSize reads a flag that is a number with a unit; one that is not there
// changes nothing.
func readSize(c *cli.Context, flag string, into *int64, read func(string) (int64, error)) error {
	text := c.String(flag)
	if text == "" {
		return nil
	}
	value, err := read(text)
	if err != nil || value < 0 || value == 0 && strings.ContainsAny(text, "123456789") { // less than one
		return usageErrorf("--%s %s is not a size such as 512m or 2g", flag, text)
	}
	*into = value
	return nil
}

func listPackages(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return bySide(c, func(own *accountapi.Client) error {
		packages, err := own.Packages(c.Context)
		if err != nil {
			return err
		}
		slices.SortStableFunc(packages, func(a, b model.Package) int { return bySize(&a, &b) })
		rows := newTable(c.App.Writer, "NAME", "FAMILY", "MEMORY", "SWAP", "CORES", "SHARES", "DISK", "PROCESSES", "DEFAULT", "ID")
		for _, p := range packages {
			rows.add(p.Name, p.Family, size(p.Memory), size(p.Swap), cores(p.CPUCap), number(p.CPUShares), size(p.Disk), number(p.Pids),
				yes(p.Default), p.ShortID())
		}
		return rows.print()
	}, func(head *adminapi.Client) error {
		packages, err := head.Packages(c.Context)
		if err != nil {
			return err
		}
		slices.SortStableFunc(packages, func(a, b adminapi.PackageStatus) int { return bySize(&a.Package, &b.Package) })
		rows := newTable(c.App.Writer, "NAME", "FAMILY", "MEMORY", "SWAP", "CORES", "SHARES", "DISK", "PROCESSES", "CONTAINERS", "STATE", "ID")
		for _, p := range packages {
			rows.add(p.Name, p.Family, size(p.Memory), size(p.Swap), cores(p.CPUCap), number(p.CPUShares), size(p.Disk), number(p.Pids),
				p.Containers, packageState(&p), p.ShortID())
		}
		return rows.print()
	})
}

// bySize orders packages for people: those of a family together, the smallest first.
func bySize(a, b *model.Package) int {
	return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Memory, b.Memory), cmp.Compare(a.Name, b.Name))
}

func packageState(p *adminapi.PackageStatus) string {
	switch {
	case p.Removed:
		return "removed"
	case !p.Active:
		return "inactive"
	case p.Default:
		return "default"
	}
	return "active"
}

func showPackage(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	none := model.Errorf(model.KindNotFound, "no package %q; list them with: spearhead package ls", args[0])
	return bySide(c, func(own *accountapi.Client) error {
		packages, err := own.Packages(c.Context)
		if err != nil {
			return err
		}
		plain := make([]*model.Package, len(packages))
		for i := range packages {
			plain[i] = &packages[i]
		}
		if i := model.IndexPackage(plain, args[0]); i >= 0 {
			return printPackage(c, plain[i], nil)
		}
		return none
	}, func(head *adminapi.Client) error {
		packages, err := head.Packages(c.Context)
		if err != nil {
			return err
		}
		plain := make([]*model.Package, len(packages))
		for i := range packages {
			plain[i] = &packages[i].Package
		}
		i := model.IndexPackage(plain, args[0])
		if i < 0 {
			return none
		}
		p := &packages[i]
		return printPackage(c, &p.Package, []field{
			{"state", packageState(p)}, {"containers", fmt.Sprint(p.Containers)},
			{"owners", strings.Join(p.OwnerLogins, ", ")}, {"traits", strings.Join(p.Traits, ", ")},
		})
	})
}

// field is a row of what is shown of one thing.
type field struct{ name, value string }

// printPackage shows a package, and what more there is to say of it.
func printPackage(c *cli.Context, p *model.Package, more []field) error {
	rows := newTable(c.App.Writer, "NAME", p.Name)
	rate := ""
	if p.NetworkRate > 0 {
		rate = strings.TrimSuffix(units.HumanSize(float64(p.NetworkRate)), "B") + "bit/s"
	}
	for _, f := range append([]field{
		{"id", p.ID}, {"memory", size(p.Memory)}, {"swap", size(p.Swap)}, {"cores", cores(p.CPUCap)}, {"shares", number(p.CPUShares)},
		{"disk", size(p.Disk)}, {"processes", number(p.Pids)}, {"I/O weight", number(int64(p.IOWeight))}, {"network rate", rate},
		{"family", p.Family}, {"rank", number(int64(p.Rank))}, {"version", p.Version},
	}, more...) {
		rows.add(f.name, f.value)
	}
	return rows.print()
}

func activatePackage(active bool) cli.ActionFunc {
	return func(c *cli.Context) error {
		args, err := arguments(c, "NAME")
		if err != nil {
			return err
		}
		return operator(c, func(head *adminapi.Client) error {
			_, err := head.ActivatePackage(c.Context, args[0], active)
			return err
		})
	}
}

func removePackage(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error { return head.RemovePackage(c.Context, args[0]) })
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

// inThousandths counts processors as the data center does. What would be none
// is an error: none is without limit.
func inThousandths(cores float64) (int64, error) {
	n := math.Round(cores * 1000)
	if n >= 1 && n <= 1<<40 {
		return int64(n), nil
	}
	return 0, usageErrorf("%g is not a number of processors, of 0.001 at least", cores)
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
