package headnode

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/internal/logopt"
)

// Config says where a head keeps its state and where it listens.
type Config struct {
	// Name is this head's name in the data center, by default the host's.
	Name string
	// DataCenter is the name that users see; Init only.
	DataCenter string
	// StateDir holds everything that the head must not lose.
	StateDir string
	// Socket is the path of the operator's unix socket.
	Socket string
	// DockerListen is where users' clients connect, host:port.
	DockerListen string
	// Advertise are host names and addresses at which users and agents reach
	// this head. They are in its certificate; the first is in DOCKER_HOST, in
	// the raft configuration and in the gossip ring.
	Advertise []string
	// RaftListen, PeerListen and GossipListen are for heads and agents only,
	// host:port. Raft's traffic and the other heads' requests have one each.
	RaftListen   string
	PeerListen   string
	GossipListen string
	// MetricsListen is where Prometheus fetches numbers by plain HTTP, host:port;
	// "" is nowhere. Whoever reaches it learns how the data center works and who
	// its machines are.
	MetricsListen string
	// DNS has this head answer questions about containers.
	DNS DNS
	// Version of the program, for docker version and docker info.
	Version string
	// InsecureRegistries are registries (host, host:port or CIDR) that docker login
	// may reach by plain HTTP and at addresses that are otherwise refused.
	InsecureRegistries []string
	// RegistryCerts is a folder of folders by host[:port] with *.crt, *.cert and
	// *.key, for docker login at private registries; "" is none.
	RegistryCerts string
	// ImageHolders is how many nodes hold what accounts name, from 1 to 3; zero
	// is 2.
	ImageHolders int
	// LogDrivers are the log drivers that containers may have, json-file among
	// them, which is the default; empty is all there are.
	LogDrivers []string
	// AccountRequests and AccountStreams limit what one account may have under
	// way at once; zero is 64 of each.
	AccountRequests int
	AccountStreams  int
	// FencingMargin is for how much longer than a node's own deadline the leader
	// waits before it starts elsewhere what that node has stopped by then; zero
	// is a minute. A shorter one asks more of how quickly a node that hangs is
	// started again.
	FencingMargin time.Duration
	Logger        *slog.Logger
}

// DNS says what of DNS a head answers; see package zones.
type DNS struct {
	Listen string // host:port, UDP and TCP; "" is nowhere
	Suffix string // the zone is the data center's name below it
	// Transfer are those who may have the whole zone.
	Transfer []netip.Prefix
}

func (d DNS) check() []error {
	var errs []error
	if d.Listen == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(d.Listen); err != nil {
		errs = append(errs, fmt.Errorf("dns.listen is not host:port: %w", err))
	}
	if strings.Trim(d.Suffix, ".") == "" {
		errs = append(errs, errors.New("dns.suffix is not set: name the domain that the zone is to be in"))
	}
	return errs
}

// minFencingMargin is what containers have to end, and some for the node.
const minFencingMargin = 15 * time.Second

// Validate returns every reason why a head cannot run with c.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct{ name, value string }{
		{"name", c.Name}, {"state_dir", c.StateDir}, {"socket", c.Socket},
	} {
		if f.value == "" {
			errs = append(errs, fmt.Errorf("%s is not set", f.name))
		}
	}
	for _, f := range []struct{ name, value string }{
		{"docker_listen", c.DockerListen}, {"raft_listen", c.RaftListen}, {"peer_listen", c.PeerListen}, {"gossip_listen", c.GossipListen},
	} {
		if _, _, err := net.SplitHostPort(f.value); err != nil {
			errs = append(errs, fmt.Errorf("%s is not host:port: %w", f.name, err))
		}
	}
	if _, _, err := net.SplitHostPort(c.MetricsListen); c.MetricsListen != "" && err != nil {
		errs = append(errs, fmt.Errorf("metrics_listen is not host:port: %w", err))
	}
	if len(c.Advertise) == 0 {
		errs = append(errs, errors.New("advertise names no host or address at which this head is reached"))
	}
	errs = append(errs, c.DNS.check()...)
	errs = append(errs, checkLogDrivers(c.LogDrivers)...)
	if c.FencingMargin != 0 && c.FencingMargin < minFencingMargin {
		errs = append(errs, fmt.Errorf("fencing_margin is less than %s, which a node may need to stop its containers", minFencingMargin))
	}
	if c.ImageHolders < 0 || c.ImageHolders > images.MaxHolders {
		errs = append(errs, fmt.Errorf("image_holders is not from 1 to %d", images.MaxHolders))
	}
	if !filepath.IsAbs(c.StateDir) || !filepath.IsAbs(c.Socket) {
		errs = append(errs, errors.New("state_dir and socket must be absolute paths"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot use head configuration: %w", err)
	}
	return nil
}

func checkLogDrivers(names []string) []error {
	var errs []error
	for _, name := range names {
		if !slices.Contains(logopt.Drivers(), name) {
			errs = append(errs, fmt.Errorf("logs.drivers names %q, and there are only %s", name, strings.Join(logopt.Drivers(), ", ")))
		}
	}
	if len(names) > 0 && !slices.Contains(names, logopt.JSONFile) {
		errs = append(errs, fmt.Errorf("logs.drivers lacks %s, which containers have that ask for none", logopt.JSONFile))
	}
	return errs
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.AccountRequests == 0 {
		c.AccountRequests = 64
	}
	if c.AccountStreams == 0 {
		c.AccountStreams = 64
	}
	if c.Version == "" {
		c.Version = "devel"
	}
	return c
}
