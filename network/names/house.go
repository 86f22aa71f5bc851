package names

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/resolver"
)

// Container says for whom a resolver is, and whom it asks.
type Container struct {
	Namespace string   `json:"namespace"` // the path at which it is pinned
	Account   string   `json:"account,omitempty"`
	Networks  []string `json:"networks"` // ids, the one with the default route first
	// Links are names that only this container has for others.
	Links []Link `json:"links,omitempty"`
	// Servers are asked for other names, from inside of the namespace. Without
	// any, and with Own, the node's are; else nobody is.
	Servers []netip.Addr `json:"servers,omitempty"`
	Own     bool         `json:"own,omitempty"`
	// Ports are where a resolver before this one listened.
	Ports resolver.Ports `json:"ports"`
}

// Link is another name of a member of a network.
type Link struct {
	Network string `json:"network"` // its id
	Name    string `json:"name"`    // that the member has on it
	Alias   string `json:"alias"`
}

// behind returns what is to be looked up on a network for a name.
func (c *Container) behind(network, name string) string {
	for _, l := range c.Links {
		if l.Network == network && plain(l.Alias) == name {
			return plain(l.Name)
		}
	}
	return name
}

// sameSockets tells whether one resolver can do for both.
func (c Container) sameSockets(o Container) bool {
	return c.Own == o.Own && slices.Equal(c.Servers, o.Servers)
}

// House holds the resolvers of all containers. Its methods may be called by
// many goroutines at once.
type House struct {
	upstream *resolver.Upstream
	logger   *slog.Logger
	told     atomic.Pointer[book] // nil: nothing yet
	tally    resolver.Tally

	mu    sync.Mutex
	rooms map[string]*room // by container
}

// room is one container's resolver.
type room struct {
	mu       sync.Mutex // guards what follows but who, and is held while it changes
	gone     bool       // it was dropped meanwhile: there may be another one
	server   *resolver.Server
	asks     Container // as the server was opened
	identity identity  // of the namespace

	who atomic.Pointer[Container] // as it is now, for the resolver
}

// identity tells namespaces apart that were pinned to one path.
type identity struct{ device, inode uint64 }

func identityOf(path string) (identity, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return identity{}, fmt.Errorf("cannot find network namespace: %w", err)
	}
	return identity{st.Dev, st.Ino}, nil
}

// NewHouse makes one without resolvers. Names that no network has are asked of
// the servers that resolvConf names, from the namespace hostNS, which stays the
// caller's.
func NewHouse(hostNS *os.File, resolvConf string, logger *slog.Logger) (*House, error) {
	up, err := resolver.NewUpstream(hostNS, func() []netip.Addr { return resolver.ServersOf(resolvConf) })
	if err != nil {
		return nil, err
	}
	return &House{upstream: up, logger: logger, rooms: map[string]*room{}}, nil
}

// Serve has a container's names resolved, and says where. Doing it again
// changes what is different: a resolver that does not answer otherwise than
// before goes on as it is.
func (h *House) Serve(_ context.Context, id string, c Container) (resolver.Ports, error) {
	r := h.enter(id)
	defer r.mu.Unlock()
	if err := h.serve(id, r, c); err != nil {
		h.remove(id, r)
		return resolver.Ports{}, err
	}
	return r.server.Ports(), nil
}

// enter returns a container's room, locked.
func (h *House) enter(id string) *room {
	for {
		h.mu.Lock()
		r := h.rooms[id]
		if r == nil {
			r = &room{}
			h.rooms[id] = r
		}
		h.mu.Unlock()
		r.mu.Lock()
		if !r.gone {
			return r
		}
		r.mu.Unlock()
	}
}

// remove ends a room, which the caller has locked.
func (h *House) remove(id string, r *room) {
	h.mu.Lock()
	delete(h.rooms, id)
	h.mu.Unlock()
	r.gone = true
	r.close()
}

// serve makes of a room's resolver what c wants. The caller has locked it.
func (h *House) serve(id string, r *room, c Container) error {
	at, err := identityOf(c.Namespace)
	if err != nil {
		return err
	}
	r.who.Store(&c)
	if r.server != nil && r.identity == at && r.asks.sameSockets(c) {
		return nil
	}
	want := c.Ports
	if r.server != nil {
		if r.identity == at {
			want = r.server.Ports()
		}
		r.close()
	}
	if r.server, err = h.open(id, r, c, want); err != nil {
		return err
	}
	r.asks, r.identity = c, at
	return nil
}

func (h *House) open(id string, r *room, c Container, want resolver.Ports) (*resolver.Server, error) {
	ns, err := os.Open(c.Namespace)
	if err != nil {
		return nil, fmt.Errorf("cannot open network namespace: %w", err)
	}
	defer ns.Close()
	cfg := resolver.Config{Namespace: ns, Names: view{h, r}, Servers: c.Servers, Ports: want, Tally: &h.tally, Logger: h.logger.With("container", id)}
	if c.Own {
		cfg.Own = h.upstream
	}
	return resolver.Open(cfg)
}

func (r *room) close() {
	if r.server != nil {
		r.server.Close()
		r.server = nil
	}
}

// Drop ends a container's resolver; an unknown one is no error.
func (h *House) Drop(_ context.Context, id string) error {
	h.mu.Lock()
	r := h.rooms[id]
	h.mu.Unlock()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.gone {
		h.remove(id, r)
	}
	return nil
}

// Keep drops all but the named ones.
func (h *House) Keep(ctx context.Context, ids []string) error {
	h.mu.Lock()
	var others []string
	for id := range h.rooms {
		if !slices.Contains(ids, id) {
			others = append(others, id)
		}
	}
	h.mu.Unlock()
	var errs []error
	for _, id := range others {
		errs = append(errs, h.Drop(ctx, id))
	}
	return errors.Join(errs...)
}

// Tell gives the networks, all of them, by their ids.
func (h *House) Tell(_ context.Context, networks map[string]Network) error {
	next := book{}
	for id, n := range networks {
		next[id] = newPage(id, n)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told.Store(&next)
	return nil
}

// change is Tell for what differs from what was told before.
func (h *House) change(networks map[string]Network, gone []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.told.Load()
	if before == nil {
		return errors.New("cannot change what was never told")
	}
	next := book{}
	for id, p := range *before {
		next[id] = p
	}
	for _, id := range gone {
		delete(next, id)
	}
	for id, n := range networks {
		next[id] = newPage(id, n)
	}
	h.told.Store(&next)
	return nil
}

// Stats are what the resolvers of a node do, counted since their process
// began.
type Stats struct {
	Resolvers int             `json:"resolvers"`
	Questions resolver.Counts `json:"questions"`
}

// Stats returns them.
func (h *House) Stats(context.Context) (Stats, error) {
	return Stats{Resolvers: h.size(), Questions: h.tally.Counts()}, nil
}

// size is how many resolvers there are.
func (h *House) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.rooms)
}

// Close ends all resolvers. Nothing may use h any more.
func (h *House) Close() error {
	err := h.Keep(context.Background(), nil)
	h.upstream.Close()
	return err
}
