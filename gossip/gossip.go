package gossip

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/spearheadcloud/spearhead/model"
)

// Role says what a machine is in its data center.
type Role string

// The roles, as in package pki.
const (
	RoleHead Role = "head"
	RoleNode Role = "node"
)

// Config says who this machine is and whom it joins.
type Config struct {
	ID        string
	Role      Role
	Name      string       // of the machine, for people
	Bind      string       // host:port for UDP and TCP; port 0 chooses one
	Advertise string       // host:port by which others reach it; "" is Bind, or an address of the machine if Bind has none
	WireAddr  string       // host:port where an agent serves wire; "" on a head
	Keys      [][]byte     // 32 bytes each; the first encrypts what is sent, each opens what comes
	Label     string       // the data center's id
	Join      []string     // host:port of machines to join; those that cannot be reached are tried again
	Logger    *slog.Logger // nil discards
}

// Member is a machine as this one knows it.
type Member struct {
	ID       string `json:"id"`
	Role     Role   `json:"role"`
	Name     string `json:"name"`
	Addr     string `json:"address"`                // gossip's own, host:port
	WireAddr string `json:"wire_address,omitempty"` // as in Config
	Alive    bool   `json:"alive"`                  // false once it has left or has been silent for some seconds
}

const (
	keySize = 32
	// settle is how long a broadcast may take to leave this machine when it
	// goes.
	settle = 2 * time.Second
)

// Gossip is this machine's part. All methods are safe for concurrent use.
type Gossip struct {
	cfg   Config
	list  *memberlist.Memberlist
	keys  *memberlist.Keyring
	table *table

	stop   context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	closed error
}

// Start listens and begins to join the others in the background, for as long
// as it takes: there is no error if none of them is there yet. ctx only bounds
// the start.
func Start(ctx context.Context, cfg Config) (*Gossip, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	meta, err := cfg.check()
	if err != nil {
		return nil, fmt.Errorf("cannot start gossip: %w", err)
	}
	g := &Gossip{cfg: cfg, table: newTable(cfg.ID, cfg.Role, meta)}
	conf, err := memberlistConfig(cfg, g.table)
	if err != nil {
		return nil, fmt.Errorf("cannot start gossip: %w", err)
	}
	g.keys = conf.Keyring
	if g.list, err = memberlist.Create(conf); err != nil {
		return nil, fmt.Errorf("cannot start gossip: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	g.stop = stop
	g.wg.Go(func() { g.keepJoined(running) })
	return g, nil
}

func (c *Config) check() ([]byte, error) {
	if c.ID == "" || c.Label == "" {
		return nil, errors.New("id and label are needed")
	}
	if err := checkKeys(c.Keys); err != nil {
		return nil, err
	}
	meta := encodeMeta(metadata{Role: c.Role, Name: c.Name, Wire: c.WireAddr})
	if _, err := decodeMeta(meta); err != nil {
		return nil, err
	}
	return meta, nil
}

func memberlistConfig(cfg Config, t *table) (*memberlist.Config, error) {
	c := memberlist.DefaultLANConfig()
	c.Name = cfg.ID
	c.Label = cfg.Label
	c.GossipVerifyIncoming, c.GossipVerifyOutgoing = true, true
	c.TCPTimeout = 5 * time.Second
	// What is sent is short and encrypted: to compress it costs more than all else.
	c.EnableCompression = false
	// A machine that comes back with another address gets its name back.
	c.DeadNodeReclaimTime = 5 * time.Second
	c.Delegate, c.Events, c.Alive, c.Conflict = t, t, t, t
	c.Logger = log.New(logWriter{cfg.Logger}, "", 0)
	c.LogOutput = nil
	var err error
	if c.Keyring, err = memberlist.NewKeyring(cfg.Keys, cfg.Keys[0]); err != nil {
		return nil, err
	}
	if c.BindAddr, c.BindPort, err = splitAddress(cfg.Bind); err != nil {
		return nil, err
	}
	c.AdvertisePort = c.BindPort
	if cfg.Advertise != "" {
		if c.AdvertiseAddr, c.AdvertisePort, err = splitAddress(cfg.Advertise); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func splitAddress(hostPort string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(hostPort)
	if err != nil {
		return "", 0, fmt.Errorf("the address %q is not host:port", hostPort)
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("the address %q has no port number", hostPort)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return host, int(n), nil
}

const (
	joinInterval = 3 * time.Second
	healTicks    = 10 // of joinInterval: how often somebody who is missing is looked for
)

// keepJoined joins the configured machines while this one is alone. It also
// joins one of them now and then while somebody is missing: after a long cut
// the two sides would not find together by themselves.
func (g *Gossip) keepJoined(ctx context.Context) {
	if len(g.cfg.Join) == 0 {
		return
	}
	tick := time.NewTicker(joinInterval)
	defer tick.Stop()
	for n := 0; ; n++ {
		switch {
		case g.table.alone():
			g.join(g.cfg.Join...)
		case n%healTicks == 0 && g.table.misses():
			g.join(g.cfg.Join[n/healTicks%len(g.cfg.Join)])
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (g *Gossip) join(addresses ...string) {
	if n, err := g.list.Join(addresses); err != nil && n == 0 {
		g.cfg.Logger.Debug("no machine to join yet", "op", "gossip", "err", err)
	}
}

// Addr is where this machine's gossip can be reached: host:port.
func (g *Gossip) Addr() string { return g.list.LocalNode().Address() }

// Members lists the machines that were ever heard of since the start, this one
// included, sorted by id.
func (g *Gossip) Members() []Member {
	members := g.table.members()
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return members
}

// SetLoad tells the heads how loaded this machine is, once: what is lost on the
// way is made up for by the next one. It goes straight to each of them, because
// nobody else wants to know, and passed on from machine to machine it would be
// the older the larger the ring is. Sequence is chosen here: it grows also over
// restarts.
func (g *Gossip) SetLoad(l model.NodeLoad) {
	told := encode(g.table.setLoad(l, time.Now()))
	for _, head := range g.table.heads() {
		if err := g.list.SendToAddress(head, told); err != nil {
			g.cfg.Logger.Debug("cannot tell a head the load", "op", "gossip", "head", head.Name, "err", err)
		}
	}
}

// Load returns the latest load that a machine has told. Heads know those of all
// machines, others only their own.
func (g *Gossip) Load(id string) (model.NodeLoad, bool) { return g.table.load(id) }

// Twin returns the address of another machine that has said, since the start,
// that it is the one with that id: an identity was copied. It is not let in.
func (g *Gossip) Twin(id string) (address string, there bool) {
	g.table.mu.Lock()
	defer g.table.mu.Unlock()
	address, there = g.table.twins[id]
	return address, there
}

// Changes gets a value after members have come, gone or changed. Several
// changes may be told as one, and there should be one reader. Loads are not
// told: they change all the time.
func (g *Gossip) Changes() <-chan struct{} { return g.table.changes }

// Leave tells the others that this machine goes on purpose, and closes.
func (g *Gossip) Leave() error {
	err := g.list.Leave(settle)
	return errors.Join(err, g.Close())
}

// Close stops without telling anybody: a restart is no leave.
func (g *Gossip) Close() error {
	g.once.Do(func() {
		g.stop()
		g.wg.Wait()
		g.closed = g.list.Shutdown()
	})
	return g.closed
}

// logWriter passes memberlist's lines to a slog.Logger.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := slog.LevelInfo
	for prefix, l := range map[string]slog.Level{
		"[DEBUG] ": slog.LevelDebug, "[INFO] ": slog.LevelInfo, "[WARN] ": slog.LevelWarn, "[ERR] ": slog.LevelError,
	} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			text, level = rest, l
			break
		}
	}
	w.log.Log(context.Background(), level, "gossip: "+strings.TrimPrefix(text, "memberlist: "))
	return len(line), nil
}
