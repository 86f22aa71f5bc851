package circle

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/agree"
	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/peers"
	"github.com/spearheadcloud/spearhead/headnode/quorum"
	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
)

// Config is what a Circle stands on.
type Config struct {
	ID      string // of this head
	Version string // of its program
	Store   *raftstore.Store
	// TLS is how another head is spoken to; see peers.NewClient.
	TLS func(id string) *tls.Config
	// Forsake is how long a head may not answer and still hold up what needs
	// the answers of all; 0 is 25 seconds.
	Forsake time.Duration
	Logger  *slog.Logger
}

// forsake is what Config.Forsake is by default. What a silent head has under way
// cannot complete without the leader, so that this is about not troubling its
// users, not about being right. Within a minute what was interrupted is undone.
const forsake = 25 * time.Second

// UseCases are what the other heads ask of this one's.
type UseCases struct {
	Containers Containers
	Images     Images
	Builds     Builds
	Reconciler Reconciler
}

// Reconciler is what is asked of reconciliation; *reconcile.Reconciler fulfils
// it.
type Reconciler interface {
	All() map[string]reconcile.Findings
}

// Containers is what is asked of containers; *containers.Service fulfils it.
type Containers interface {
	containers.Reserver
	Working() []string
}

// Images is what is asked of images; *images.Service fulfils it.
type Images interface {
	Hold() (arriving []string, release func(), err error)
}

// Builds is what is asked of builds; *build.Service fulfils it.
type Builds interface {
	CancelBuild(ctx context.Context, a model.Account, id string) error
}

// Circle is a head's place among the others. It is safe for concurrent use
// after Join.
type Circle struct {
	Config

	// Heads is the replicated state as any head uses it: its proposals reach
	// whichever head leads. What rests on this head's leading goes to
	// Config.Store itself.
	Heads *quorum.Store

	client *peers.Client
	others *peers.Others
	use    UseCases
	leads  atomic.Bool
}

// New returns a Circle. Close it before the Store.
func New(cfg Config) *Circle {
	c := &Circle{Config: cfg}
	c.client = peers.NewClient(cfg.TLS, c.address)
	c.Heads = quorum.New(cfg.Store, c.client)
	c.others = peers.NewOthers(c.otherHeads, cmp.Or(cfg.Forsake, forsake))
	return c
}

// Use sets what this head does for the others, before anything of it is asked.
func (c *Circle) Use(u UseCases) { c.use = u }

// Close ends the questions to other heads.
func (c *Circle) Close() {
	c.Heads.Close()
	c.client.Close()
}

// Handler is what this head does for the others; see peers.NewHandler.
func (c *Circle) Handler() http.Handler {
	return peers.NewHandler(peers.Config{
		Log: c.Heads, Members: c, Work: c, Hashes: c,
		Removed: func(id string) bool { return c.Store.View().HeadRemoved(id) },
		Logger:  c.Logger,
	})
}

// Leads reports whether this head leads and knows all that was agreed on
// before it did.
func (c *Circle) Leads() bool { return c.leads.Load() }

// Lead notes that it does, until the returned function is called.
func (c *Circle) Lead() (end func()) {
	c.leads.Store(true)
	return func() { c.leads.Store(false) }
}

// Agreement is what compares this head's state with the others'.
func (c *Circle) Agreement() *agree.Checker {
	return agree.New(agree.Config{Store: c.Store, Heads: c.client, HeadID: c.ID, Version: c.Version, Logger: c.Logger})
}

// StateHash implements peers.Hashes.
func (c *Circle) StateHash(ctx context.Context, index uint64) (agree.Answer, error) {
	at, err := c.Store.HashAt(ctx, index)
	return agree.Answer{Hash: at.Hash, Version: c.Version}, err
}

// address is where another head's requests reach it, "" if that is not known.
func (c *Circle) address(id string) string {
	other, _ := c.Store.View().Head(id)
	return other.PeerAddress
}

// otherHeads are those that take part in raft beside this one.
func (c *Circle) otherHeads() []string {
	var ids []string
	for _, other := range c.Store.Stats().Heads {
		if other.ID != c.ID {
			ids = append(ids, other.ID)
		}
	}
	return ids
}
