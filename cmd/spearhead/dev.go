package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/cmd/spearhead/profile"
	"github.com/spearheadcloud/spearhead/rack"
)

func devCommand() *cli.Command {
	return group(cli.Command{
		Name:  "dev",
		Usage: "a whole data center on this machine, for development and tests",
		Description: "A rack is several hosts made of network namespaces. Each runs this same binary, configured\n" +
			"as a real machine is. Containers get addresses that this machine reaches. Needs root.\n\n" +
			"  spearhead dev up\n" +
			"  eval \"$(spearhead dev env)\"\n" +
			"  docker run --rm IMAGE echo hello",
		Subcommands: []*cli.Command{
			{
				Name:  "up",
				Usage: "start a rack, and return when docker works",
				Description: "It is also the way to bring a rack back after kill -9 or a crash of the machine: what is\n" +
					"there is kept, what is missing is started.",
				Flags: []cli.Flag{
					dirFlag(),
					&cli.IntFlag{Name: "heads", Usage: "how many heads, 1, 3 or 5: `N`. A rack can grow", DefaultText: "1 for a new rack, else what the rack has"},
					&cli.IntFlag{Name: "nodes", Usage: "how many nodes, 1 to 99: `N`. A rack can grow", DefaultText: "1 for a new rack, else what the rack has"},
					&cli.StringFlag{Name: "storage", Usage: "what containers' roots are made of: `KIND` overlay or zfs; overlay for a new rack, else what the rack has"},
					&cli.StringSliceFlag{Name: "mirror", Usage: "a mirror of Docker Hub, `HOST:PORT` or URL, that nodes ask which start from now on; '' for none"},
					&cli.StringFlag{Name: "pool", Usage: "with --storage zfs: an existing `POOL` or dataset; without it the rack makes its own"},
				},
				Action: devUp,
			},
			{
				Name:  "env",
				Usage: "print the settings that point docker at the rack",
				Flags: []cli.Flag{
					dirFlag(),
					&cli.StringFlag{Name: "account", Usage: "the account's `LOGIN`; the rack's first one by default"},
					&cli.StringFlag{Name: "head", Usage: "go through the head `NAME`; head-1 by default"},
				},
				Action: devEnv,
			},
			{
				Name:   "status",
				Usage:  "show hosts, addresses, processes, the leader and where the logs are",
				Flags:  []cli.Flag{dirFlag()},
				Action: devStatus,
			},
			{
				Name:      "fault",
				Usage:     "break a host, or mend it",
				ArgsUsage: strings.Join(rack.Faults(), "|") + " HOST [PORT]",
				Description: "kill sends SIGKILL to the host's daemon, start starts it again; stop freezes it, cont\n" +
					"lets it go on. cut takes the host off the network; isolate parts it from the other hosts\n" +
					"and not from this machine; mute keeps what it sends from them, deafen what they send from\n" +
					"it; heal ends all of these. crash takes the host's power away, with all that runs on it,\n" +
					"and start boots it. HOST is as spearhead dev status shows it: head-1, node-1. With a PORT, isolate,\n" +
					"mute and deafen are about what the host serves there alone: 7946 is gossip, 7947 an agent.",
				Flags:  []cli.Flag{dirFlag()},
				Action: devFault,
			},
			{
				Name:  "down",
				Usage: "end a rack and remove everything that belongs to it, containers and images included",
				Description: "Leaves no process, mount, namespace, interface, firewall table, cgroup, dataset or file. It\n" +
					"also removes what is left of a rack whose folder is lost.",
				Flags:  []cli.Flag{dirFlag()},
				Action: devDown,
			},
		},
	})
}

func dirFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "dir", Value: rack.DefaultDir, EnvVars: []string{"SPEARHEAD_DEV_DIR"},
		Usage: "the rack's folder `DIR`; racks in different folders stand side by side",
	}
}

func devUp(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	dir := c.String("dir")
	err := rack.Up(c.Context, rack.Options{
		Dir:      dir,
		Heads:    c.Int("heads"),
		Nodes:    c.Int("nodes"),
		Storage:  c.String("storage"),
		Pool:     c.String("pool"),
		Mirrors:  mirrors(c),
		Progress: func(line string) { fmt.Fprintln(c.App.ErrWriter, line) },
	})
	if err != nil {
		return err
	}
	env := profile.Quote(os.Args[0]) + " dev env"
	if c.IsSet("dir") {
		env += " --dir " + profile.Quote(dir)
	}
	_, err = fmt.Fprintf(c.App.Writer, "docker works. Point your shell at it:\n  eval \"$(%s)\"\n", env)
	return err
}

// mirrors are those that the user names; nil if there is no word of them.
func mirrors(c *cli.Context) []string {
	if !c.IsSet("mirror") {
		return nil
	}
	return slices.DeleteFunc(c.StringSlice("mirror"), func(m string) bool { return m == "" })
}

func devEnv(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	r, err := rack.Load(c.String("dir"))
	if err != nil {
		return err
	}
	settings, err := r.Env(c.String("account"), c.String("head"))
	if err != nil {
		return err
	}
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		if _, err := fmt.Fprintf(c.App.Writer, "export %s=%s\n", name, profile.Quote(value)); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(c.App.Writer, "unset DOCKER_CONTEXT "+profileVariable)
	return err
}

func devStatus(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	r, err := rack.Load(c.String("dir"))
	if err != nil {
		return err
	}
	status, err := r.Status(c.Context)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "rack %s, docker at %s\n\n", status.Dir, status.DockerHost)
	rows := newTable(c.App.Writer, "HOST", "ADDRESS", "PID", "STATE", "ROLE", "LOG")
	for _, host := range status.Hosts {
		state := host.State
		if host.Cut {
			state += ", cut off"
		}
		rows.add(host.Name, host.Address, host.Pid, state, host.Role, host.Log)
	}
	return rows.print()
}

func devFault(c *cli.Context) error {
	names := []string{"one of " + strings.Join(rack.Faults(), ", "), "HOST"}
	if c.NArg() > len(names) {
		names = append(names, "PORT")
	}
	args, err := arguments(c, names...)
	if err != nil {
		return err
	}
	var port uint64
	if len(args) > 2 {
		if port, err = strconv.ParseUint(args[2], 10, 16); err != nil || port == 0 {
			return usageErrorf("%s is no port", args[2])
		}
	}
	r, err := rack.Load(c.String("dir"))
	if err != nil {
		return err
	}
	return r.Fault(c.Context, args[0], args[1], uint16(port))
}

func devDown(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	r, err := rack.Remains(c.String("dir"))
	if err != nil {
		return err
	}
	return r.Down(c.Context)
}
