package agent

import (
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/spearheadcloud/spearhead/internal/logopt"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

// Config says what an agent is and where its things lie. It mirrors
// agent.toml; what has a default may be left empty.
type Config struct {
	Name     string // of the node; "" is the machine's host name
	StateDir string // survives a reboot: records, images, logs, identity
	RunDir   string // need not survive one: sockets, namespaces, bundles; keep it short

	// IdentityDir holds what package pki/join keeps: ca.pem, cert.pem and key.pem,
	// by which heads know this node, and the gossip ring's keys; "" is "pki" in
	// StateDir.
	IdentityDir string
	WireListen  string // host:port to serve heads on
	Advertise   string // host:port that heads dial; "" is WireListen

	GossipListen string   // host:port
	GossipJoin   []string // host:port of members that are likely up, beside those that enrolment told

	CgroupParent string   // below each hierarchy's root; "" is "/spearhead"
	Runtime      string   // "crun", "runc"; "" is crun if it works
	IodCommand   []string // argv that starts iod; --run-dir and --state-dir are appended

	// NamesCommand is the argv that starts what resolves names for containers;
	// without it the agent does, and names pause while it is restarted.
	NamesCommand []string

	Logs               logopt.File // bounds the logs of containers that ask for no bound; zero bounds none
	Storage            Storage
	NICTags            map[string]string // tag of a physical network → interface
	NetworkPrefix      string            // begins the names of links; agents that share a machine need different ones
	Fabric             Fabric
	InsecureRegistries []string       // host[:port] that may be spoken to without TLS
	RegistryMirrors    []string       // host[:port] or URLs, asked before docker.io is
	RegistryCerts      string         // folder of folders by host[:port] with *.crt, *.cert and *.key; "" is none
	DeniedNetworks     []netip.Prefix // that no registry may lead to, such as that of nodes

	// MetricsListen is where Prometheus fetches numbers by plain HTTP,
	// host:port; "" is nowhere. Whoever reaches it learns what all containers
	// of the node use.
	MetricsListen string

	// StopAfter is for how long the node may be cut off from the data center
	// before it stops the containers whose owners asked to have them started
	// elsewhere in that case; 0 never does, and they are not.
	StopAfter time.Duration

	Version string // of Spearhead
	Logger  *slog.Logger
}

// Fabric says how the node takes part in fabrics.
type Fabric struct {
	// Address is the machine's on the network that connects the nodes; by
	// default Advertise's. Without an address there are no fabrics here.
	Address netip.Addr
	Port    int // UDP, the same on all nodes; 0 is 4789
	// Protected are networks that containers on fabrics must not reach, such as
	// those of machines; none is the one that Address is on.
	Protected []netip.Prefix
	// Connections is how many connections out of fabrics one container may have
	// at a time, and a fourth of what one account may; 0 is a sixteenth of what
	// the machine has room for.
	Connections int
}

// Storage says what containers' roots are made of.
type Storage struct {
	Kind    string   // "overlay" or "zfs"
	Dataset string   // pool/dataset to live below; needed by zfs, optional for overlay
	Command []string // argv of the zfs command; empty is "zfs"
}

// minStopAfter leaves the leader some chances to renew a lease.
const minStopAfter = 20 * time.Second

// check fills in defaults and refuses what cannot work, naming the field.
func (c *Config) check() error {
	missing := func(field string) error {
		return model.Errorf(model.KindInvalid, "cannot start the agent: its configuration has no %s", field)
	}
	switch {
	case c.StateDir == "":
		return missing("state_dir")
	case c.RunDir == "":
		return missing("run_dir")
	case c.WireListen == "":
		return missing("wire_listen")
	case c.GossipListen == "":
		return missing("gossip_listen")
	case len(c.IodCommand) == 0:
		return missing("command to start iod")
	case c.StopAfter != 0 && c.StopAfter < minStopAfter:
		return model.Errorf(model.KindInvalid, "cannot start the agent: stop_after is %s; at least %s are needed, or 0 for never", c.StopAfter, minStopAfter)
	case c.Fabric.Connections < 0:
		return model.Errorf(model.KindInvalid, "cannot start the agent: fabric.connections is %d and must be a number of connections, or 0", c.Fabric.Connections)
	case c.Storage.Kind == "zfs" && c.Storage.Dataset == "":
		return missing("storage.dataset, which storage.kind zfs needs")
	case c.Storage.Kind != "zfs" && c.Storage.Kind != "overlay" && c.Storage.Kind != "":
		return model.Errorf(model.KindInvalid, "cannot start the agent: storage.kind is %q and must be overlay or zfs", c.Storage.Kind)
	}
	if c.Storage.Kind == "" {
		c.Storage.Kind = "overlay"
	}
	if c.CgroupParent == "" {
		c.CgroupParent = "/spearhead"
	}
	if c.IdentityDir == "" {
		c.IdentityDir = filepath.Join(c.StateDir, "pki")
	}
	if c.Advertise == "" {
		c.Advertise = c.WireListen
	}
	if at, err := netip.ParseAddrPort(c.Advertise); err == nil && !c.Fabric.Address.IsValid() && !at.Addr().IsUnspecified() {
		c.Fabric.Address = at.Addr().Unmap()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// gossipAdvertise is where other machines find this one's gossip: at the address
// that heads dial. "" is any of the machine's, where that one is not known.
func (c *Config) gossipAdvertise() string {
	host, port, err := net.SplitHostPort(c.GossipListen)
	if err != nil || host != "" {
		return "" // it listens at one address, which is told
	}
	at, err := netip.ParseAddrPort(c.Advertise)
	if err != nil || at.Addr().IsUnspecified() {
		return ""
	}
	return net.JoinHostPort(at.Addr().String(), port)
}

// runtime is what the node runs containers with.
func (c *Config) runtime() runtime.Config {
	return runtime.Config{
		StateDir: filepath.Join(c.StateDir, "runtime"), RunDir: filepath.Join(c.RunDir, "rt"),
		Runtime: c.Runtime, IodCommand: c.IodCommand, CgroupParent: c.CgroupParent,
		Logs: c.Logs, Logger: c.Logger,
	}
}
