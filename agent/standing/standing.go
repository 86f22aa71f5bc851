package standing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/wire"
)

// Containers are those of the node whose owners asked to have them started
// elsewhere when the node is gone.
type Containers interface {
	// Running lists those that run, or are about to.
	Running() []string
	// Stop ends one within seconds. It is no error if it does not run.
	Stop(ctx context.Context, id string) error
	// Start starts one. It is no error if it runs, or is there no more.
	Start(ctx context.Context, id string) error
}

// Member is what the node shows to other machines.
type Member interface {
	// Refuse has the certificates of removed machines refused.
	Refuse(gone func(role pki.Role, id string) bool)
	// Keyring is the version of the gossip keys, and SetKeyring replaces them,
	// for good.
	Keyring() int
	SetKeyring(k model.Keyring) error
	// Request asks for a new certificate, or is nil while the present one is
	// good for long enough; Renew takes it.
	Request() ([]byte, error)
	Renew(certPEM []byte) error
}

// Config is what a Keeper stands on.
type Config struct {
	File string // where the lease is kept
	// StopAfter is for how long a lease is good; with 0 the node needs none, and
	// nothing of its is ever started elsewhere without an operator's word.
	StopAfter time.Duration
	Clock     Clock
	Process   string // of this start of the agent, unlike any other
	Member    Member
	// Alive is called while the lease is watched over, many times in a minute:
	// who hears it no more knows that nobody would stop anything.
	Alive  func()
	Logger *slog.Logger
}

const (
	// tick is how often the lease is looked at.
	tick = time.Second
	// saveAfter is by how much a lease has to be longer before it is kept:
	// after a restart of the agent it may be over by so much too early.
	saveAfter = 10 * time.Second
	// startLimit bounds the start of a container that was stopped.
	startLimit = 2 * time.Minute
)

// Keeper keeps a node's standing. It is safe for concurrent use.
type Keeper struct {
	Config

	mu    sync.Mutex
	lease lease
	kept  kept
	saved time.Duration // lease.began as it is kept
}

// Open takes up what an earlier process of the agent has kept.
func Open(c Config) (*Keeper, error) {
	k := &Keeper{Config: c}
	err := atomicfile.ReadJSON(c.File, &k.kept)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the node's standing: %w", err)
	}
	k.lease = lease{clock: c.Clock, stopAfter: c.StopAfter, marks: map[string]time.Duration{}, prefix: c.Process + "-"}
	if err == nil && k.kept.Boot == c.Clock.Boot() {
		// The leader counts by what it was last told.
		k.lease.began, k.lease.there = k.kept.Began, true
		k.lease.stopAfter = min(c.StopAfter, k.kept.StopAfter)
	}
	k.refuse()
	return k, nil
}

// refuse has removed machines refused. The caller holds mu, or is Open.
func (k *Keeper) refuse() {
	heads, nodes := slices.Clone(k.kept.GoneHeads), slices.Clone(k.kept.GoneNodes)
	k.Member.Refuse(func(role pki.Role, id string) bool {
		if role == pki.RoleHead {
			return slices.Contains(heads, id)
		}
		return slices.Contains(nodes, id)
	})
}

// May returns nil if a container with that specification may be started now,
// and why not if it may not: somebody else may be running it.
func (k *Keeper) May(spec *model.ContainerSpec) error {
	if !spec.Reschedules() || !k.over() {
		return nil
	}
	return model.Errorf(model.KindUnavailable, "the container's node has been cut off from the data center for too long, and the container may have been started elsewhere; try again when the node is back")
}

// Attend implements wire.Membership, but for what is held.
func (k *Keeper) Attend(a wire.Attention) (wire.Standing, error) {
	if a.Keyring != nil {
		if err := k.Member.SetKeyring(*a.Keyring); err != nil {
			return wire.Standing{}, err
		}
	}
	if len(a.Certificate) > 0 {
		if err := k.Member.Renew(a.Certificate); err != nil {
			return wire.Standing{}, err
		}
		k.Logger.Info("the node has a new certificate", "op", "renew")
	}
	request, err := k.Member.Request()
	if err != nil {
		return wire.Standing{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if a.Gone != nil && a.Gone.Version != k.kept.Gone {
		k.kept.Gone, k.kept.GoneHeads, k.kept.GoneNodes = a.Gone.Version, a.Gone.Heads, a.Gone.Nodes
		if err := k.save(); err != nil {
			return wire.Standing{}, err
		}
		k.refuse()
	}
	fenced := k.StopAfter > 0 && k.lease.left() <= 0
	if k.lease.returned(a.Mark) {
		k.lease.stopAfter = k.StopAfter // which the leader was told with the mark
		if fenced && k.lease.left() > 0 {
			k.Logger.Info("the data center has this node back", "op", "lease")
		}
		if k.lease.began-k.saved > saveAfter || fenced {
			if err := k.save(); err != nil {
				return wire.Standing{}, err
			}
		}
	}
	return wire.Standing{
		Mark: k.lease.mark(), StopAfter: k.StopAfter, Fenced: k.StopAfter > 0 && k.lease.left() <= 0,
		Gone: k.kept.Gone, Keyring: k.Member.Keyring(), Request: request,
	}, nil
}

// save keeps what there is. The caller holds mu.
func (k *Keeper) save() error {
	next := k.kept
	if k.lease.there {
		next.Boot, next.Began, next.StopAfter = k.Clock.Boot(), k.lease.began, k.lease.stopAfter
	}
	if err := next.save(k.File); err != nil {
		return fmt.Errorf("cannot keep the node's standing: %w", err)
	}
	k.kept, k.saved = next, k.lease.began
	return nil
}
