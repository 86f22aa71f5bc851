package headnode

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync"

	"github.com/spearheadcloud/spearhead/headnode/agree"
	"github.com/spearheadcloud/spearhead/headnode/build"
	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/peers"
	"github.com/spearheadcloud/spearhead/headnode/quorum"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
)

// openPeers makes this head one among others.
func (h *head) openPeers(_ context.Context, opened *revert.Stack) error {
	h.peers = peers.NewClient(
		func(id string) *tls.Config { return h.home.identity.ClientTLS(pki.RoleHead, id) },
		h.peerAddress,
	)
	h.heads = quorum.New(h.store, h.peers)
	h.others = peers.NewOthers(h.otherHeads)
	opened.Add(func() {
		h.heads.Close()
		h.peers.Close()
	})
	return nil
}

// peerAddress is where another head's requests reach it, "" if that is not
// known.
func (h *head) peerAddress(id string) string {
	other, _ := h.store.View().Head(id)
	return other.PeerAddress
}

// otherHeads are those that take part in raft beside this one.
func (h *head) otherHeads() []string {
	var ids []string
	for _, other := range h.store.Stats().Heads {
		if other.ID != h.home.record.HeadID {
			ids = append(ids, other.ID)
		}
	}
	return ids
}

// peersHandler is what this head does for the others.
func (h *head) peersHandler() http.Handler {
	return peers.NewHandler(peers.Config{
		Log: h.heads, Members: h, Work: work{h}, Hashes: h,
		Removed: func(id string) bool { return h.store.View().HeadRemoved(id) },
		Logger:  h.log,
	})
}

// StateHash implements peers.Hashes.
func (h *head) StateHash(ctx context.Context, index uint64) (agree.Answer, error) {
	at, err := h.store.HashAt(ctx, index)
	return agree.Answer{Hash: at.Hash, Version: h.cfg.Version}, err
}

// work is what this head's requests have under way, and what it decides for
// others while it leads.
type work struct{ *head }

var (
	_ peers.Work          = work{}
	_ containers.Reserver = leaderReserver{}
)

// Reserve implements peers.Work.
func (w work) Reserve(ctx context.Context, in containers.Intent) (peers.Reserved, error) {
	if !w.leading.Load() {
		return peers.Reserved{}, errNotLeading
	}
	c, err := w.containers.Reserve(ctx, in)
	if err != nil {
		return peers.Reserved{}, quorum.Again(err)
	}
	return peers.Reserved{Container: c, Index: w.store.View().Index()}, nil
}

var errNotLeading = model.WrapError(model.KindUnavailable, peers.ErrAgain, "this head does not lead; try again")

// Working implements peers.Work.
func (w work) Working() []string { return w.containers.Working() }

// HoldImages implements peers.Work.
func (w work) HoldImages() ([]string, func(), error) { return w.images.Hold() }

// CancelBuild implements peers.Work.
func (w work) CancelBuild(ctx context.Context, accountID, id string) error {
	return w.builds.CancelBuild(ctx, model.Account{ID: accountID}, id)
}

// leaderReserver has reservations decided on by whichever head leads.
type leaderReserver struct{ *head }

// Reserve implements containers.Reserver.
func (r leaderReserver) Reserve(ctx context.Context, in containers.Intent) (model.Container, error) {
	var made peers.Reserved
	err := r.heads.AtLeader(ctx, quorum.Patience,
		func(ctx context.Context) (err error) {
			made, err = work{r.head}.Reserve(ctx, in)
			return err
		},
		func(ctx context.Context, leader string) (err error) {
			made, err = r.peers.Reserve(ctx, leader, in)
			return err
		})
	if err != nil {
		return model.Container{}, err
	}
	return made.Container, r.heads.WaitApplied(ctx, made.Index)
}

// workedOn asks all heads what their requests are doing at this moment.
func (h *head) workedOn(ctx context.Context) (func(id string) bool, error) {
	var mu sync.Mutex
	busy := map[string]bool{}
	note := func(ids []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, id := range ids {
			busy[id] = true
		}
	}
	note(h.containers.Working())
	err := h.others.Ask(ctx, func(ctx context.Context, id string) error {
		ids, err := h.peers.Working(ctx, id)
		note(ids)
		return err
	})
	return func(id string) bool { return busy[id] }, err
}

// holdOthers lets nothing begin on the other heads that brings an image to a
// node; see images.Config.
func (h *head) holdOthers(ctx context.Context) (arriving []string, release func(), err error) {
	var mu sync.Mutex
	var releases []func()
	release = func() {
		for _, r := range releases {
			r()
		}
	}
	err = h.others.Ask(ctx, func(ctx context.Context, id string) error {
		nodes, let, err := h.peers.HoldImages(ctx, id)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		arriving, releases = append(arriving, nodes...), append(releases, let)
		return nil
	})
	if err == nil {
		err = h.heads.Fresh(ctx)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return arriving, release, nil
}

// everywhere are the builds of all heads: one is ended by the head that carries
// it out, whichever is asked.
type everywhere struct {
	*build.Service
	head *head
}

// CancelBuild implements dockerapi.Builds.
func (e everywhere) CancelBuild(ctx context.Context, a model.Account, id string) error {
	if err := e.Service.CancelBuild(ctx, a, id); err != nil {
		return err
	}
	err := e.head.others.Ask(ctx, func(ctx context.Context, other string) error {
		return e.head.peers.CancelBuild(ctx, other, a.ID, id)
	})
	if err != nil {
		e.head.log.WarnContext(ctx, "cannot ask all heads to end a build", slog.String("account", a.Login), slog.Any("err", err))
	}
	return nil // a build that is not found is no error, as with Docker
}
