package headnode

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/gossip"
	"github.com/spearheadcloud/spearhead/headnode/agree"
	"github.com/spearheadcloud/spearhead/headnode/attend"
	"github.com/spearheadcloud/spearhead/headnode/build"
	"github.com/spearheadcloud/spearhead/headnode/circle"
	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/headnode/metrics"
	"github.com/spearheadcloud/spearhead/headnode/networks"
	"github.com/spearheadcloud/spearhead/headnode/nodes"
	"github.com/spearheadcloud/spearhead/headnode/publish"
	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/headnode/transfers"
	"github.com/spearheadcloud/spearhead/headnode/volumes"
	"github.com/spearheadcloud/spearhead/headnode/zones"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// Run runs the head that Init made until ctx ends, and returns when everything
// that it started has stopped. It returns nil after an orderly stop.
func Run(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	home, err := openHome(cfg.StateDir)
	if err != nil {
		return fmt.Errorf("cannot run head: %w", err)
	}
	h := newHead(cfg, home)

	// The stack closes in reverse: first nobody can ask any more, then the
	// nodes and the ring are let go, and the state is closed last.
	var opened revert.Stack
	defer opened.Revert()
	if err := h.open(ctx, &opened); err != nil {
		return fmt.Errorf("cannot run head: %w", err)
	}
	h.log.Info("head is up", slog.String("docker", h.dockerHost()), slog.String("version", cfg.Version))
	err = h.serve(ctx)
	h.log.Info("head stops", slog.Any("err", err))
	return err
}

// EndsForGood reports whether Run ended with an error that another start cannot
// mend: this head was removed, its files cannot be trusted, or its state is not
// that of the other heads. The machine may join anew, as another head.
func EndsForGood(err error) bool {
	var damaged *raftstore.DamagedError
	return errors.Is(err, raftstore.ErrRemoved) || errors.Is(err, agree.ErrDiverged) || errors.As(err, &damaged)
}

// head is a running head and its parts, in the order in which they start.
type head struct {
	cfg     Config
	home    *home
	log     *slog.Logger
	metrics *metrics.Metrics

	store *raftstore.Store
	ring  *gossip.Gossip

	// circle is this head's place among the others, and circle.Heads the store
	// as any head uses it. What rests on this head's leading goes to store.
	circle *circle.Circle

	nodes      *nodes.Set
	images     *images.Service
	zones      *zones.Listener // nil: nobody asks here
	publisher  *publish.Publisher
	networks   *networks.Service
	containers *containers.Service
	builds     *build.Service
	volumes    *volumes.Service
	reconciler *reconcile.Reconciler
	attendant  *attend.Attendant
	transfers  *transfers.Service

	endpoints []endpoint
	peersEnd  endpoint // stops last: other heads need it while requests end
	requests  requests
}

func newHead(cfg Config, home *home) *head {
	return &head{
		cfg: cfg, home: home, log: cfg.Logger.With(slog.String("head", cfg.Name)),
		metrics: metrics.New(cfg.Name, home.record.HeadID, cfg.Version),
	}
}

func (h *head) open(ctx context.Context, opened *revert.Stack) error {
	for _, open := range []func(context.Context, *revert.Stack) error{
		h.openStore, h.openCircle, h.openGossip, h.openUseCases, h.openEndpoints,
	} {
		if err := open(ctx, opened); err != nil {
			return err
		}
	}
	return nil
}

func (h *head) openStore(ctx context.Context, opened *revert.Stack) error {
	store, err := raftstore.Open(ctx, raftstore.Config{
		Dir: filepath.Join(h.cfg.StateDir, dirRaft), ID: h.home.record.HeadID,
		Bind: h.cfg.RaftListen, Advertise: advertised(h.cfg.Advertise[0], h.cfg.RaftListen),
		Identity: h.home.identity, Bootstrap: !h.home.record.Joined, Proposed: h.metrics.Proposed, Logger: h.log,
	})
	if err != nil {
		return err
	}
	h.store = store
	h.home.identity.Refuse(h.gone)
	opened.Add(func() { h.logClose("raft store", store.Close()) })
	return nil
}

// gone reports machines that were removed: their certificates live longer.
func (h *head) gone(role pki.Role, id string) bool {
	v := h.store.View()
	return role == pki.RoleNode && v.Departed(id) || role == pki.RoleHead && v.HeadRemoved(id)
}

// openCircle makes this head one among others.
func (h *head) openCircle(_ context.Context, opened *revert.Stack) error {
	h.circle = circle.New(circle.Config{
		ID: h.home.record.HeadID, Version: h.cfg.Version, Store: h.store, Logger: h.log,
		TLS: func(id string) *tls.Config { return h.home.identity.ClientTLS(pki.RoleHead, id) },
	})
	opened.Add(h.circle.Close)
	return nil
}

// self is what the others are to know of this head.
func (h *head) self() model.Head {
	return model.Head{
		ID: h.home.record.HeadID, Name: h.cfg.Name, DockerHost: h.dockerHost(), Advertise: h.cfg.Advertise,
		Version:     model.HeadVersion(h.cfg.Version, command.Level),
		RaftAddress: advertised(h.cfg.Advertise[0], h.cfg.RaftListen), PeerAddress: advertised(h.cfg.Advertise[0], h.cfg.PeerListen),
		MetricsAddress: h.metricsAddress(),
	}
}

func (h *head) openGossip(ctx context.Context, opened *revert.Stack) error {
	ring, err := gossip.Start(ctx, gossip.Config{
		ID: h.home.record.HeadID, Role: gossip.RoleHead, Name: h.cfg.Name,
		Bind: h.cfg.GossipListen, Advertise: h.gossipAdvertise(),
		Keys: h.home.gossipKeys, Join: h.home.record.GossipJoin, Label: h.home.record.ClusterID, Logger: h.log,
	})
	if err != nil {
		return err
	}
	h.ring = ring
	opened.Add(func() { h.logClose("gossip", errors.Join(ring.Leave(), ring.Close())) })
	return nil
}

// gossipAdvertise is the first address, not name, that this head is reached
// at; gossip speaks of addresses only, and finds one itself if there is none.
func (h *head) gossipAdvertise() string {
	for _, a := range h.cfg.Advertise {
		if _, err := netip.ParseAddr(a); err == nil {
			return advertised(a, h.cfg.GossipListen)
		}
	}
	return ""
}

func (h *head) openUseCases(_ context.Context, opened *revert.Stack) error {
	registries, err := model.ParseInsecureRegistries(h.cfg.InsecureRegistries)
	if err != nil {
		return err
	}
	h.nodes = nodes.New(nodes.Config{
		Store: h.store, Dial: h.dial, Logger: h.log,
		Connected: func(ctx context.Context, c nodes.Connection) {
			h.reconciler.Connected(ctx, c.NodeID, c.Agent, c.Drained)
			h.volumes.Settle(ctx, c.NodeID, c.Agent)
		},
	})
	h.images = images.New(images.Config{
		Store: h.circle.Heads, Agents: h.nodes, Registries: registries, RegistryCerts: h.cfg.RegistryCerts, Forbidden: h.ownAddress,
		Holders: h.cfg.ImageHolders, Leads: h.circle.Leads, Others: h.circle.HoldOthers, Load: h.ring.Load, Logger: h.log,
	})
	h.publisher = h.newPublisher()
	h.networks = networks.New(networks.Config{Store: h.circle.Heads, Agents: h.nodes, Logger: h.log})
	h.containers = containers.New(containers.Config{
		Store: h.circle.Heads, Decisions: h.store, Reserver: h.circle.Reserver(), Agents: h.nodes, Images: h.images, Fabrics: h.networks, Publisher: h.publisher,
		Requests: h.cfg.AccountRequests, Streams: h.cfg.AccountStreams, Placed: h.metrics.Placed, Load: h.ring.Load, Logger: h.log,
	})
	h.volumes = volumes.New(volumes.Config{Store: h.circle.Heads, Agents: h.nodes, Logger: h.log})
	h.builds = build.New(build.Config{
		Store: h.circle.Heads, Agents: h.nodes, Images: h.images, Fabrics: h.networks, Load: h.ring.Load, SpoolDir: h.cfg.StateDir, Logger: h.log,
	})
	h.reconciler = reconcile.New(reconcile.Config{
		Store: h.store, Agent: h.nodes.Agent, Working: h.circle.WorkedOn, Images: h.images.Settle, Sweep: h.images.Sweep, Logger: h.log,
	})
	h.attendant = attend.New(attend.Config{Store: h.store, Agent: h.nodes.Agent, Containers: h.containers, CA: h.home.ca, Margin: h.cfg.FencingMargin, Logger: h.log})
	h.transfers = transfers.New(transfers.Config{
		Store: h.circle.Heads, Decisions: h.store, Agent: h.nodes.Agent, Connected: h.nodes.Connected, Containers: h.containers, Logger: h.log,
	})
	h.circle.Use(circle.UseCases{Containers: h.containers, Images: h.images, Builds: h.builds, Reconciler: h.reconciler})
	opened.Add(h.nodes.Close)
	return nil
}

// dial makes the client of a node's agent. Nobody but the machine with the
// node's certificate is spoken to.
func (h *head) dial(n model.Node) wire.Agent {
	return wire.NewClient("https://"+n.Address, h.home.identity.ClientTLS(pki.RoleNode, n.ID))
}

// ownAddress reports whether a is an address of the data center's machines.
func (h *head) ownAddress(a netip.Addr) bool {
	for _, host := range h.cfg.Advertise {
		if host == a.String() {
			return true
		}
	}
	for _, n := range h.store.View().Nodes() {
		if host, _, err := net.SplitHostPort(n.Address); err == nil && host == a.String() {
			return true
		}
	}
	return false
}

func (h *head) dockerHost() string {
	return "tcp://" + advertised(h.cfg.Advertise[0], h.cfg.DockerListen)
}

func (h *head) logClose(what string, err error) {
	if err != nil {
		h.log.Warn("cannot close "+what, slog.Any("err", err))
	}
}

// advertised is host with the port of the address listened on.
func advertised(host, listen string) string {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return host // Validate has refused such a listen address
	}
	return net.JoinHostPort(host, port)
}
