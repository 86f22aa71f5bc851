package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode"
	"github.com/spearheadcloud/spearhead/internal/heaproom"
)

// headFile is the form of head.toml.
type headFile struct {
	Name               string   `toml:"name"`
	DataCenter         string   `toml:"data_center"`
	StateDir           string   `toml:"state_dir"`
	Socket             string   `toml:"socket"`
	DockerListen       string   `toml:"docker_listen"`
	Advertise          []string `toml:"advertise"`
	RaftListen         string   `toml:"raft_listen"`
	PeerListen         string   `toml:"peer_listen"`
	GossipListen       string   `toml:"gossip_listen"`
	MetricsListen      string   `toml:"metrics_listen"`
	InsecureRegistries []string `toml:"insecure_registries"`
	CertsDir           string   `toml:"registry_certs_dir"`
	ImageHolders       int      `toml:"image_holders"`
	AccountRequests    int      `toml:"account_requests"`
	AccountStreams     int      `toml:"account_streams"`
	FencingMargin      string   `toml:"fencing_margin"`
	Logs               struct {
		Drivers []string `toml:"drivers"`
	} `toml:"logs"`
	DNS struct {
		Listen   string         `toml:"listen"`
		Suffix   string         `toml:"suffix"`
		Transfer []netip.Prefix `toml:"transfer"`
	} `toml:"dns"`
}

func headCommand() *cli.Command {
	return group(cli.Command{
		Name:  "head",
		Usage: "run a head: the machine that serves Docker's API",
		Description: "A head is described by a TOML file:\n\n" +
			"  name = \"head-1\"               its name; the host's by default\n" +
			"  data_center = \"dc1\"           what users see; read by init only\n" +
			"  state_dir = \"/var/lib/spearhead/head\"\n" +
			"  socket = \"" + defaultSocket + "\"\n" +
			"  docker_listen = \":2376\"       users' docker clients\n" +
			"  advertise = [\"dc1.example.org\", \"192.0.2.10\"]  names and addresses it is reached at; needed\n" +
			"  raft_listen = \":2380\"         other heads\n" +
			"  peer_listen = \":2381\"         other heads' requests\n" +
			"  gossip_listen = \":7946\"       heads and agents\n" +
			"  metrics_listen = \"127.0.0.1:9376\"  numbers for Prometheus; \"\" is nowhere\n" +
			"  insecure_registries = []      registries that docker login may reach by plain HTTP\n" +
			"  registry_certs_dir = \"/etc/spearhead/certs.d\"  as an agent's certs_dir, for docker login\n" +
			"  image_holders = 2             nodes that hold each image that an account names, 1 to 3\n" +
			"  account_requests = 64         that one account may have under way at once\n" +
			"  account_streams = 64          the same for attach, logs -f and the like\n" +
			"  fencing_margin = \"1m\"         longer than a node's stop_after, until what it has stopped is started elsewhere; 15s at least\n\n" +
			"  [dns]                         NAME.inst.LOGIN.DATACENTER.SUFFIX, SERVICE.svc.LOGIN.DATACENTER.SUFFIX\n" +
			"  listen = \"\"                   where to answer, \":53\"; nowhere by default\n" +
			"  suffix = \"example.org\"        delegate DATACENTER.example.org to the heads\n" +
			"  transfer = []                 networks of secondaries, which may have the whole zone\n\n" +
			"  [logs]\n" +
			"  drivers = []                  log drivers that containers may have, json-file among them; all by default",
		Subcommands: append([]*cli.Command{
			{
				Name:        "init",
				Usage:       "make the first head of a new data center",
				Description: "Makes the cluster's CA, the head's certificate and an empty state in state_dir. It refuses a folder that holds a head already.",
				Flags: append(configFlags(defaultHeadConfig),
					&cli.StringFlag{Name: "from", Usage: "make it from a backup `FILE`: the data center has lost all of its heads"}),
				Action: initHead,
			},
			{
				Name:        "run",
				Usage:       "run the head until SIGTERM",
				Description: "Containers do not depend on it: they run on while no head does.",
				Flags:       configFlags(defaultHeadConfig),
				Action:      runHead,
			},
		}, headMembers()...),
	})
}

func runHead(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	config, err := headConfig(c)
	if err != nil {
		return err
	}
	var keeping sync.WaitGroup
	defer keeping.Wait()
	ctx, end := context.WithCancel(c.Context)
	defer end()
	if os.Getenv("GOGC") == "" {
		keeping.Go(func() { heaproom.Keep(ctx, headRoom, headGC) })
	}
	return headnode.Run(ctx, config)
}

// A head's heap grows by so many percent between two collections (a small one by more), half of what
// is usual, and by no more than so many bytes: most of a large data center's
// head is state that stays.
const (
	headGC   = 50
	headRoom = 96 << 20
)

const defaultHeadConfig = "/etc/spearhead/head.toml"

// headConfig reads the head's configuration file.
func headConfig(c *cli.Context) (headnode.Config, error) {
	file := headFile{
		Name:          hostname(),
		DataCenter:    "dc1",
		StateDir:      "/var/lib/spearhead/head",
		Socket:        defaultSocket,
		DockerListen:  ":2376",
		RaftListen:    ":2380",
		PeerListen:    ":2381",
		GossipListen:  ":7946",
		MetricsListen: "127.0.0.1:9376",
		CertsDir:      "/etc/spearhead/certs.d",
		FencingMargin: "1m",
	}
	if err := readConfig(c.String("config"), &file); err != nil {
		return headnode.Config{}, err
	}
	margin, err := time.ParseDuration(file.FencingMargin)
	if err != nil {
		return headnode.Config{}, fmt.Errorf("cannot use head configuration: fencing_margin is %q and must be a time such as 1m", file.FencingMargin)
	}
	return headnode.Config{
		Name:               file.Name,
		DataCenter:         file.DataCenter,
		StateDir:           file.StateDir,
		Socket:             file.Socket,
		DockerListen:       file.DockerListen,
		Advertise:          file.Advertise,
		RaftListen:         file.RaftListen,
		PeerListen:         file.PeerListen,
		GossipListen:       file.GossipListen,
		MetricsListen:      file.MetricsListen,
		InsecureRegistries: file.InsecureRegistries,
		RegistryCerts:      file.CertsDir,
		ImageHolders:       file.ImageHolders,
		AccountRequests:    file.AccountRequests,
		AccountStreams:     file.AccountStreams,
		FencingMargin:      margin,
		LogDrivers:         file.Logs.Drivers,
		DNS:                headnode.DNS{Listen: file.DNS.Listen, Suffix: file.DNS.Suffix, Transfer: file.DNS.Transfer},
		Version:            version,
		Logger:             logger(c),
	}, nil
}

func initHead(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	config, err := headConfig(c)
	if err != nil {
		return err
	}
	if path := c.String("from"); path != "" {
		return initFrom(c, config, path)
	}
	if err := headnode.Init(c.Context, config); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "data center %s: its first head %s is ready to run\n", config.DataCenter, config.Name)
	return err
}
