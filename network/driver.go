package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// Config says what a Driver works with.
type Config struct {
	// RunDir holds the pinned namespaces and what is recorded of them. After
	// a reboot it may hold stale entries: they are recognised.
	RunDir string
	// Prefix begins the names of links this driver makes: up to four lower
	// case letters or digits; "" is "sh".
	Prefix string
	// Uplinks maps the tag of a physical network to the interface, in the
	// agent's network namespace, that leads to it. For untagged networks the
	// interface must carry no address of the machine: it becomes a port of a
	// bridge in another namespace.
	Uplinks map[string]string
	// Underlay is the address of the machine by which fabrics of other nodes
	// reach this one; without it there are no fabrics here.
	Underlay netip.Addr
	// VXLANPort is the UDP port of fabrics, the same on all nodes; 0 is 4789.
	VXLANPort int
	// Protected are networks that fabrics must not reach; none is the one that
	// Underlay is on.
	Protected []netip.Prefix
	// Connections is how many connections out of fabrics one container may have
	// at a time; an account may have four times as many on this node. 0 is a
	// sixteenth of what the kernel has room for.
	Connections int
	// ResolvConf names the node's name servers; "" is /etc/resolv.conf.
	ResolvConf string
	// NamesCommand starts the process that resolves names for containers (see
	// names.Main), which outlives this one. Without it this one does, and names
	// are not resolved while it is restarted.
	NamesCommand []string
	Version      string // of the program; a process of names of another one is replaced
	Logger       *slog.Logger
}

// Driver makes and removes the networks of this node's containers. Its
// methods may be called by many goroutines at once, but not for one container
// at the same time.
type Driver struct {
	cfg    Config
	hostNS *os.File
	host   *netlink.Handle // of the agent's namespace
	// told is what heads told last; see SetNetworks for how it is read.
	told      atomic.Pointer[directory]
	resolvers resolvers

	mu       sync.Mutex
	segments map[string]*segment // open ones, by key
	boxes    map[string]*sandbox // by container
	fenced   *fence              // that stands around fabrics; nil if none does
}

var (
	prefixRule    = regexp.MustCompile(`^[a-z0-9]{1,4}$`)
	containerRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)
)

// Open makes a driver for the calling process's network namespace, takes over
// the sandboxes that are there, and gives back uplinks and removes fabrics
// that no container uses.
func Open(ctx context.Context, cfg Config) (*Driver, error) {
	ns, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("cannot open own network namespace: %w", err)
	}
	return openIn(ctx, cfg, ns)
}

// openIn is Open for any namespace, whose file it takes over.
func openIn(ctx context.Context, cfg Config, hostNS *os.File) (d *Driver, err error) {
	if cfg.Prefix == "" {
		cfg.Prefix = "sh"
	}
	if cfg.VXLANPort == 0 {
		cfg.VXLANPort = vxlanPort
	}
	if cfg.ResolvConf == "" {
		cfg.ResolvConf = "/etc/resolv.conf"
	}
	if !prefixRule.MatchString(cfg.Prefix) {
		return nil, fmt.Errorf("cannot use link prefix %q: up to four lower case letters or digits", cfg.Prefix)
	}
	d = &Driver{cfg: cfg, hostNS: hostNS, segments: map[string]*segment{}, boxes: map[string]*sandbox{}}
	d.told.Store(newDirectory(model.NetworkState{}))
	made := d // what is returned is nil where it fails
	defer func() {
		if err != nil {
			made.release()
		}
	}()
	for _, dir := range []string{cfg.RunDir, d.sandboxesDir(), d.segmentsDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("cannot make run directory: %w", err)
		}
	}
	if d.host, err = openAt(hostNS); err != nil {
		return nil, err
	}
	if d.resolvers, err = d.openResolvers(ctx); err != nil {
		return nil, err
	}
	if err := d.takeOver(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// Close releases what the driver holds open. Containers keep their networks,
// and their names if those are resolved by a process of their own; uplinks that
// none uses go back to the agent's namespace.
func (d *Driver) Close() error {
	d.mu.Lock()
	err := d.removeIdle(func(*segment) bool { return true })
	d.mu.Unlock()
	d.release()
	return err
}

func (d *Driver) release() {
	if d.resolvers != nil {
		if err := d.resolvers.Close(); err != nil {
			d.cfg.Logger.Warn("cannot end resolvers", "op", "close", "err", err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.boxes = map[string]*sandbox{}
	for key, s := range d.segments {
		s.close()
		delete(d.segments, key)
	}
	if d.host != nil {
		d.host.Close()
	}
	d.hostNS.Close()
}

func (d *Driver) sandboxesDir() string { return filepath.Join(d.cfg.RunDir, "sandboxes") }
func (d *Driver) segmentsDir() string  { return filepath.Join(d.cfg.RunDir, "segments") }

// Sandboxes lists the ids of all containers that may have something here, in
// order.
func (d *Driver) Sandboxes(ctx context.Context) ([]string, error) {
	return listed(d.sandboxesDir())
}

func listed(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", filepath.Base(dir), err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all, nil
}

// box returns the sandbox of a container, which is known from then on, and
// which uses the given segments.
func (d *Driver) box(container string, uses ...string) (*sandbox, error) {
	if !containerRule.MatchString(container) {
		return nil, model.Errorf(model.KindInvalid, "invalid container id")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.boxes[container]
	if b == nil {
		b = &sandbox{id: container, dir: filepath.Join(d.sandboxesDir(), container)}
		d.boxes[container] = b
	}
	b.uses = append(b.uses, uses...)
	return b, nil
}

// plan checks the NICs and says which ports they will be.
func (d *Driver) plan(a Attachment) (sandboxRecord, error) {
	rec := sandboxRecord{Account: a.Account, Resolver: a.Resolver && len(a.NICs) > 0}
	networks := map[string]*model.Network{}
	for i := range a.Networks {
		networks[a.Networks[i].ID] = &a.Networks[i]
	}
	for _, nic := range a.NICs {
		n := networks[nic.NetworkID]
		if n == nil {
			return rec, model.Errorf(model.KindInvalid, "the network of interface %s is not given", nic.Interface)
		}
		if err := checkNIC(nic, n); err != nil {
			return rec, err
		}
		if rec.portOn(n.ID) != nil {
			return rec, model.Errorf(model.KindInvalid, "there are two interfaces on network %s", n.Name)
		}
		rec.Ports = append(rec.Ports, portOf(nic, n))
	}
	rec.Upstream, rec.OwnUpstream = upstream(a)
	return rec, nil
}

func checkNIC(nic model.NIC, n *model.Network) error {
	switch mac, err := net.ParseMAC(nic.MAC); {
	case n.Kind != model.NetworkExternal && n.Kind != model.NetworkFabric:
		return model.Errorf(model.KindNotImplemented, "network %s is of kind %q, which this node does not offer", n.Name, n.Kind)
	case !nic.Address.Addr().Is4():
		return model.Errorf(model.KindInvalid, "interface %s has no IPv4 address", nic.Interface)
	case nic.Address6.IsValid() && (!nic.Address6.Addr().Is6() || nic.Address6.Addr().Is4In6()):
		return model.Errorf(model.KindInvalid, "interface %s has no valid IPv6 address", nic.Interface)
	case nic.Interface == "" || nic.Interface == "lo" || len(nic.Interface) >= unix.IFNAMSIZ:
		return model.Errorf(model.KindInvalid, "invalid name of interface %q", nic.Interface)
	case err != nil || len(mac) != 6 || mac[0]&1 != 0:
		return model.Errorf(model.KindInvalid, "interface %s has no valid MAC", nic.Interface)
	case nic.Rate < 0:
		return model.Errorf(model.KindInvalid, "interface %s has a negative rate", nic.Interface)
	}
	return nil
}

// upstream tells who is asked for names that are not of the data center: those
// that the container names, else those of its networks, else the node's. On
// internal networks only, nobody is.
func upstream(a Attachment) (servers []netip.Addr, own bool) {
	outside := false
	for _, n := range a.Networks {
		if n.Internal {
			continue
		}
		outside = true
		servers = append(servers, n.Resolvers...)
	}
	switch {
	case !outside:
		return nil, false
	case len(a.DNS) > 0:
		return a.DNS, false
	}
	return servers, len(servers) == 0
}

// errorsOf joins what went wrong with each of a list, so that one does not
// keep the others from being done.
func errorsOf[T any](list []T, do func(T) error) error {
	var errs []error
	for _, one := range list {
		errs = append(errs, do(one))
	}
	return errors.Join(errs...)
}
