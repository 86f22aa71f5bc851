package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/agent"
	"github.com/spearheadcloud/spearhead/internal/logopt"
	"github.com/spearheadcloud/spearhead/pki/join"
)

// agentFile is the form of agent.toml.
type agentFile struct {
	Name          string            `toml:"name"`
	StateDir      string            `toml:"state_dir"`
	RunDir        string            `toml:"run_dir"`
	IdentityDir   string            `toml:"identity_dir"`
	WireListen    string            `toml:"wire_listen"`
	Advertise     string            `toml:"advertise"`
	GossipListen  string            `toml:"gossip_listen"`
	GossipJoin    []string          `toml:"gossip_join"`
	MetricsListen string            `toml:"metrics_listen"`
	CgroupParent  string            `toml:"cgroup_parent"`
	Runtime       string            `toml:"runtime"`
	NetworkPrefix string            `toml:"network_prefix"`
	NICTags       map[string]string `toml:"nic_tags"`
	StopAfter     string            `toml:"stop_after"`
	Fabric        struct {
		Address     netip.Addr     `toml:"address"`
		Port        int            `toml:"port"`
		Protected   []netip.Prefix `toml:"protected_networks"`
		Connections int            `toml:"connections"`
	} `toml:"fabric"`
	Storage struct {
		Kind    string   `toml:"kind"`
		Dataset string   `toml:"dataset"`
		Command []string `toml:"command"`
	} `toml:"storage"`
	Logs struct {
		MaxSize string `toml:"max_size"`
		MaxFile int    `toml:"max_file"`
	} `toml:"logs"`
	Images struct {
		InsecureRegistries []string       `toml:"insecure_registries"`
		Mirrors            []string       `toml:"mirrors"`
		CertsDir           string         `toml:"certs_dir"`
		DeniedNetworks     []netip.Prefix `toml:"denied_networks"`
	} `toml:"images"`
}

const defaultAgentConfig = "/etc/spearhead/agent.toml"

func agentCommand() *cli.Command {
	return group(cli.Command{
		Name:  "agent",
		Usage: "run an agent: the machine that runs containers",
		Description: "An agent is described by a TOML file:\n\n" +
			"  name = \"node-1\"               its name; the host's by default\n" +
			"  state_dir = \"/var/lib/spearhead/agent\"   images, records and logs of containers\n" +
			"  run_dir = \"/run/spearhead/agent\"         sockets and mounts\n" +
			"  identity_dir = \"/var/lib/spearhead/agent/pki\"  what spearhead agent join made\n" +
			"  wire_listen = \":7947\"         where heads reach it\n" +
			"  advertise = \"192.0.2.21:7947\" the address that heads dial\n" +
			"  gossip_listen = \":7946\"\n" +
			"  gossip_join = []              members to join, beside those that enrolment told\n" +
			"  metrics_listen = \"127.0.0.1:9377\"  numbers for Prometheus; \"\" is nowhere\n" +
			"  stop_after = \"5m\"            cut off from the heads for so long, it stops containers that may be started elsewhere; \"0\" never\n" +
			"  cgroup_parent = \"/spearhead\"\n" +
			"  runtime = \"\"                  crun or runc; crun if it works\n" +
			"  network_prefix = \"sh\"         begins the names of links; agents on one machine need different ones\n\n" +
			"  [storage]\n" +
			"  kind = \"overlay\"              or zfs\n" +
			"  dataset = \"tank/spearhead\"    for zfs: what to live under\n" +
			"  command = [\"zfs\"]             for zfs: how to call it\n\n" +
			"  [nic_tags]\n" +
			"  external = \"eth1\"             physical network's tag = interface\n\n" +
			"  [fabric]                      networks of accounts, between nodes\n" +
			"  address = \"192.0.2.21\"        of this machine where the nodes are connected; advertise's by default\n" +
			"  port = 4789                   UDP, the same on all nodes\n" +
			"  protected_networks = []       that containers must not reach by them; the one of address by default\n" +
			"  connections = 0               out of them, of one container at a time; 0 is a sixteenth of the kernel's table\n\n" +
			"  [logs]                        for containers that ask for no max-size\n" +
			"  max_size = \"100m\"             or unlimited: such logs can then fill the node\n" +
			"  max_file = 5\n\n" +
			"  [images]\n" +
			"  insecure_registries = []      host, host:port or network: plain HTTP, any certificate and any address are fine\n" +
			"  mirrors = []                  host:port or URL, asked before docker.io is\n" +
			"  certs_dir = \"/etc/spearhead/certs.d\"  in it a folder for each host or host:port: *.crt of authorities, *.cert and *.key of the node\n" +
			"  denied_networks = []          networks that no registry may lead to, such as the one of the nodes",
		Subcommands: []*cli.Command{
			{
				Name:        "run",
				Usage:       "run the agent until SIGTERM",
				Description: "Containers do not depend on it: they run on while it is stopped, killed or replaced.",
				Flags:       configFlags(defaultAgentConfig),
				Action:      runAgent,
			},
			agentJoinCommand(),
			{
				Name:  "halt",
				Usage: "end all containers, for the machine goes down",
				Description: "systemd calls this when the machine is shut down, after it has stopped the agent. Each container gets its stop\n" +
					"signal, and is killed after its stop timeout or a minute. Nobody has stopped them, so after the boot those start\n" +
					"again whose restart policy says so.",
				Flags:  configFlags(defaultAgentConfig),
				Action: haltContainers,
			},
		},
	})
}

func runAgent(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	config, err := agentConfig(c)
	if err != nil {
		return err
	}
	if there, err := join.Exists(config.IdentityDir); err != nil || !there {
		return errors.Join(errors.New("this machine is no node yet: let it join with: spearhead agent join HEAD --token TOKEN"), err)
	}
	return agent.Run(c.Context, config)
}

func haltContainers(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	config, err := agentConfig(c)
	if err != nil {
		return err
	}
	n, err := agent.Halt(c.Context, config)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%d containers have ended\n", n)
	return err
}

// agentConfig reads the agent's configuration file.
func agentConfig(c *cli.Context) (agent.Config, error) {
	file := agentFile{
		Name:          hostname(),
		StateDir:      "/var/lib/spearhead/agent",
		RunDir:        "/run/spearhead/agent",
		WireListen:    ":7947",
		GossipListen:  ":7946",
		MetricsListen: "127.0.0.1:9377",
		NetworkPrefix: "sh",
		StopAfter:     "5m",
	}
	file.Logs.MaxSize, file.Logs.MaxFile = "100m", 5
	file.Images.CertsDir = "/etc/spearhead/certs.d"
	if err := readConfig(c.String("config"), &file); err != nil {
		return agent.Config{}, err
	}
	logs, err := logopt.ParseBound(file.Logs.MaxSize, file.Logs.MaxFile)
	if err != nil {
		return agent.Config{}, fmt.Errorf("cannot use agent configuration: logs.%w", err)
	}
	stopAfter, err := time.ParseDuration(file.StopAfter)
	if err != nil || stopAfter < 0 {
		return agent.Config{}, fmt.Errorf("cannot use agent configuration: stop_after is %q and must be a time such as 5m, or 0", file.StopAfter)
	}
	if file.IdentityDir == "" {
		file.IdentityDir = filepath.Join(file.StateDir, "pki")
	}
	self, err := os.Executable()
	if err != nil {
		return agent.Config{}, errors.New("cannot find this program's own file: start it by its full path")
	}
	return agent.Config{
		Name:               file.Name,
		StateDir:           file.StateDir,
		RunDir:             file.RunDir,
		IdentityDir:        file.IdentityDir,
		WireListen:         file.WireListen,
		Advertise:          file.Advertise,
		GossipListen:       file.GossipListen,
		MetricsListen:      file.MetricsListen,
		GossipJoin:         file.GossipJoin,
		CgroupParent:       file.CgroupParent,
		Runtime:            file.Runtime,
		IodCommand:         []string{self, "iod"},
		NamesCommand:       []string{self, "names"},
		Logs:               logs,
		Storage:            agent.Storage{Kind: file.Storage.Kind, Dataset: file.Storage.Dataset, Command: file.Storage.Command},
		NICTags:            file.NICTags,
		NetworkPrefix:      file.NetworkPrefix,
		StopAfter:          stopAfter,
		Fabric:             agent.Fabric{Address: file.Fabric.Address, Port: file.Fabric.Port, Protected: file.Fabric.Protected, Connections: file.Fabric.Connections},
		InsecureRegistries: file.Images.InsecureRegistries,
		RegistryMirrors:    file.Images.Mirrors,
		RegistryCerts:      file.Images.CertsDir,
		DeniedNetworks:     file.Images.DeniedNetworks,
		Version:            version,
		Logger:             logger(c),
	}, nil
}
