package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/namespace"
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
	Logger  *slog.Logger
}

// Driver makes and removes the networks of this node's containers. Its
// methods may be called by many goroutines at once, but not for one container
// at the same time.
type Driver struct {
	cfg    Config
	hostNS *os.File
	host   *netlink.Handle // of the agent's namespace

	mu       sync.Mutex
	segments map[string]*segment // open ones, by key
	state    model.NetworkState
}

var (
	prefixRule    = regexp.MustCompile(`^[a-z0-9]{1,4}$`)
	containerRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)
)

// Open makes a driver for the calling process's network namespace, and gives
// back uplinks that no container uses.
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
	if !prefixRule.MatchString(cfg.Prefix) {
		return nil, fmt.Errorf("cannot use link prefix %q: up to four lower case letters or digits", cfg.Prefix)
	}
	d = &Driver{cfg: cfg, hostNS: hostNS, segments: map[string]*segment{}}
	defer func() {
		if err != nil {
			d.release()
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
	if err := d.giveBackIdle(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// Close releases what the driver holds open. Containers keep their networks;
// uplinks that none uses go back to the agent's namespace.
func (d *Driver) Close() error {
	err := d.giveBackIdle(context.Background())
	d.release()
	return err
}

func (d *Driver) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
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

func (d *Driver) sandbox(containerID string) (sandbox, error) {
	if !containerRule.MatchString(containerID) {
		return sandbox{}, model.Errorf(model.KindInvalid, "invalid container id")
	}
	return sandbox{dir: filepath.Join(d.sandboxesDir(), containerID)}, nil
}

// Attach makes the network of a container and returns the path of its
// namespace. No NICs means a namespace with only a loopback. Doing it again
// changes nothing and repairs what is missing; with other NICs than before it
// is refused with model.KindConflict. networks must hold the network of each
// NIC. If it fails, nothing is left that was not there before.
func (d *Driver) Attach(ctx context.Context, a Attachment) (path string, err error) {
	containerID := a.Container
	b, err := d.sandbox(containerID)
	if err != nil {
		return "", err
	}
	ports, segments, err := d.plan(a.NICs, a.Networks)
	if err != nil {
		return "", err
	}
	former := b.standing()
	if former != nil {
		if !former.isFor(ports) {
			return "", model.Errorf(model.KindConflict, "container %s has a network already, with other addresses", model.ShortID(containerID))
		}
		ports = former.Ports
	} else {
		for i := range ports {
			ports[i].Outer = newOuterName(d.cfg.Prefix)
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, d.Detach(context.WithoutCancel(ctx), containerID))
			}
		}()
		if err := b.record(ports); err != nil {
			return "", err
		}
	}
	if err := failpoint.Hit("network/attach/after-record"); err != nil {
		return "", err
	}
	if err := d.join(ctx, b, ports, segments); err != nil {
		return "", err
	}
	return b.pin(), nil
}

// join makes the sandbox's namespace and its NICs.
func (d *Driver) join(ctx context.Context, b sandbox, ports []port, segments []*segment) error {
	inner, err := b.open()
	if err != nil {
		return err
	}
	defer inner.Close()
	if err := failpoint.Hit("network/attach/after-namespace"); err != nil {
		return err
	}
	for i, p := range ports {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("cannot attach interface %s: %w", p.Interface, err)
		}
		if err := segments[i].attach(b, inner, p); err != nil {
			return err
		}
	}
	return nil
}

// plan checks the NICs and finds the segment of each.
func (d *Driver) plan(nics []model.NIC, networks []model.Network) ([]port, []*segment, error) {
	var ports []port
	var segments []*segment
	for _, nic := range nics {
		i := slices.IndexFunc(networks, func(n model.Network) bool { return n.ID == nic.NetworkID })
		if i < 0 {
			return nil, nil, model.Errorf(model.KindInvalid, "the network of interface %s is not given", nic.Interface)
		}
		n := networks[i]
		if n.Kind != model.NetworkExternal {
			return nil, nil, model.Errorf(model.KindNotImplemented, "network %s is of kind %q, which this node does not offer", n.Name, n.Kind)
		}
		if !nic.Address.Addr().Is4() {
			return nil, nil, model.Errorf(model.KindInvalid, "interface %s has no IPv4 address", nic.Interface)
		}
		if nic.Interface == "" || nic.Interface == "lo" || len(nic.Interface) >= unix.IFNAMSIZ {
			return nil, nil, model.Errorf(model.KindInvalid, "invalid name of interface %q", nic.Interface)
		}
		if mac, err := net.ParseMAC(nic.MAC); err != nil || len(mac) != 6 {
			return nil, nil, model.Errorf(model.KindInvalid, "interface %s has no valid MAC", nic.Interface)
		}
		s, err := d.segment(n)
		if err != nil {
			return nil, nil, err
		}
		ports, segments = append(ports, portOf(nic, n)), append(segments, s)
	}
	return ports, segments, nil
}

// SetNetworks has the node act by what it knows of networks beyond its own
// containers' NICs.
func (d *Driver) SetNetworks(ctx context.Context, s model.NetworkState) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state = s
	return nil
}

// Detach removes the network of a container; an unknown one is no error.
// The container's addresses are free for others when it returns. The namespace
// and its interfaces end by themselves when no process is left in it.
func (d *Driver) Detach(ctx context.Context, containerID string) error {
	b, err := d.sandbox(containerID)
	if err != nil {
		return err
	}
	rec, err := b.load()
	if err != nil {
		d.cfg.Logger.Warn("sandbox has no readable record; removing its namespace", "container", containerID, "err", err)
	}
	if rec != nil {
		for _, p := range rec.Ports {
			s, err := d.existing(p.Segment)
			if err != nil {
				return err
			}
			if s == nil {
				continue
			}
			if err := s.silence(p); err != nil {
				return err
			}
		}
	}
	if err := failpoint.Hit("network/detach/before-namespace"); err != nil {
		return err
	}
	return b.remove()
}

// Sandboxes lists the ids of all containers that may have something here, in
// order.
func (d *Driver) Sandboxes(ctx context.Context) ([]string, error) {
	return names(d.sandboxesDir())
}

func names(dir string) ([]string, error) {
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

// giveBackIdle gives back the uplinks of segments that no container uses.
func (d *Driver) giveBackIdle(ctx context.Context) error {
	used := map[string]bool{}
	boxes, err := d.Sandboxes(ctx)
	if err != nil {
		return err
	}
	for _, id := range boxes {
		rec, err := sandbox{dir: filepath.Join(d.sandboxesDir(), id)}.load()
		if err != nil || rec == nil {
			continue // Detach removes what there is of it
		}
		for _, p := range rec.Ports {
			used[p.Segment] = true
		}
	}
	keys, err := names(d.segmentsDir())
	if err != nil {
		return err
	}
	slices.Reverse(keys) // a VLAN goes before the segment that holds its NIC
	for _, key := range keys {
		if used[key] {
			continue
		}
		if err := d.giveBack(key); err != nil {
			return err
		}
	}
	return nil
}

// giveBack removes one segment. A stale one, of before a reboot, has no
// namespace and only leaves its files.
func (d *Driver) giveBack(key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.segments[key]
	if s == nil {
		s = &segment{key: key, dir: filepath.Join(d.segmentsDir(), key)}
		if !namespace.IsPinned(s.pin()) || atomicfile.ReadJSON(s.recordPath(), &s.rec) != nil {
			return s.removeFiles()
		}
		if err := s.openNamespace(); err != nil {
			return err
		}
	}
	delete(d.segments, key)
	return s.giveBack(d.hostNS, d.host)
}
