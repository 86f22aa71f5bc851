package headnode

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/accountapi"
	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/headnode/auth"
	"github.com/spearheadcloud/spearhead/headnode/build"
	"github.com/spearheadcloud/spearhead/headnode/circle"
	"github.com/spearheadcloud/spearhead/headnode/cloudapi"
	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/joining"
	"github.com/spearheadcloud/spearhead/headnode/quorum"
	"github.com/spearheadcloud/spearhead/headnode/system"
	"github.com/spearheadcloud/spearhead/internal/cork"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
)

// Limits of the Docker endpoint beside those that dockerapi names.
const (
	maxConnections  = 4000
	maxHandshakes   = 64              // without a finished one, of one address
	stopGrace       = time.Second     // of streams, and of operators' requests
	questionGrace   = quorum.Patience // of users' questions
	streamGrace     = 5 * time.Second // for what takes time to end
	lookAroundLimit = 4 * time.Second // for who leads
	nodesLimit      = time.Second     // for which nodes are there
)

// endpointDocker is the name of the endpoint for users.
const endpointDocker = "docker"

// endpoint is a server and what it listens on.
type endpoint struct {
	name     string
	listener net.Listener
	server   *http.Server
}

func (h *head) openEndpoints(ctx context.Context, opened *revert.Stack) error {
	docker, err := h.dockerEndpoint(ctx)
	if err != nil {
		return err
	}
	opened.Add(docker.close)
	admin, err := h.adminEndpoint(ctx)
	if err != nil {
		return err
	}
	opened.Add(admin.close)
	others, err := h.peersEndpoint(ctx)
	if err != nil {
		return err
	}
	opened.Add(others.close)
	h.endpoints, h.peersEnd = []endpoint{docker, admin}, others
	if err := h.openZones(ctx, opened); err != nil {
		return err
	}
	if h.cfg.MetricsListen == "" {
		return nil
	}
	numbers, err := h.metricsEndpoint(ctx)
	if err != nil {
		return err
	}
	opened.Add(numbers.close)
	h.endpoints = append(h.endpoints, numbers)
	return nil
}

// close ends an endpoint, whether it was served or not.
func (e endpoint) close() {
	e.server.Close() // its errors are those of connections that are gone
	e.listener.Close()
}

// peersEndpoint is where other heads connect.
func (h *head) peersEndpoint(ctx context.Context) (endpoint, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", h.cfg.PeerListen)
	if err != nil {
		return endpoint{}, fmt.Errorf("cannot listen for other heads' requests: %w", err)
	}
	return endpoint{"peers", tls.NewListener(l, h.home.identity.TellingTLS(pki.RoleHead)), &http.Server{
		Handler: h.circle.Handler(), ReadHeaderTimeout: dockerapi.ReadHeaderTimeout, IdleTimeout: 2 * dockerapi.IdleTimeout,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ErrorLog:     slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}}, nil
}

// dockerEndpoint is where users' clients connect. Its certificate is made
// anew at each start, for the names that this head is reached by now.
func (h *head) dockerEndpoint(ctx context.Context) (endpoint, error) {
	conf, err := pki.DockerTLS(h.home.ca, h.cfg.Advertise)
	if err != nil {
		return endpoint{}, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", h.cfg.DockerListen)
	if err != nil {
		return endpoint{}, fmt.Errorf("cannot listen for docker clients: %w", err)
	}
	caps := newCaps(l, maxConnections, maxHandshakes)
	return endpoint{endpointDocker, tls.NewListener(caps, conf), &http.Server{
		Handler:        h.requests.count(h.publicHandler()),
		MaxHeaderBytes: dockerapi.MaxHeaderBytes, ReadHeaderTimeout: dockerapi.ReadHeaderTimeout, IdleTimeout: dockerapi.IdleTimeout,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 only: streams take over connections
		ConnContext:  cork.With,
		ConnState:    caps.connState,
		ErrorLog:     slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}}, nil
}

func (h *head) publicHandler() http.Handler {
	record := h.home.record
	byLogin := func(login string) (model.Account, bool) { return h.store.View().AccountByLogin(login) }
	_, port, _ := net.SplitHostPort(h.cfg.DockerListen) // Validate has checked it
	center := system.New(system.Config{
		Store: h.store, Connected: h.nodes.Connected, Load: h.ring.Load, ClusterID: record.ClusterID,
		Name: record.DataCenter, Version: h.cfg.Version, CA: h.home.ca.Certificate(),
	})
	users := auth.New(byLogin, time.Now)
	docker := dockerapi.New(dockerapi.Config{
		Auth:       users,
		Containers: h.containers, Control: h.containers, Usage: h.containers, Files: h.containers, Execs: h.containers,
		Builds: everywhere{h.builds, h.circle}, Fresh: h.circle.Heads.Fresh, Served: h.metrics.Served,
		Images: h.images, Pruner: h.images, Transfers: h.images, Registries: h.images, System: center, Networks: h.networks, Connections: h.containers, Volumes: h.volumes,
		Version: h.cfg.Version, Endpoints: endpointAddresses(h.cfg.Advertise, h.cfg.DockerListen), LogDrivers: h.cfg.LogDrivers, Logger: h.log,
	})
	own := accountapi.New(accountapi.Config{
		Auth: users, Store: h.circle.Heads, Volumes: h.volumes, Networks: h.networks,
		Fresh: h.circle.Heads.Fresh, Served: h.metrics.Served, Logger: h.log,
	}, docker)
	cloud := cloudapi.New(cloudapi.Config{
		Account: byLogin, Hosts: h.cfg.Advertise, Port: port, Now: time.Now, Logger: h.log,
	}, own)
	return joining.New(joining.Config{
		Store: h.circle.Heads, CA: h.home.ca, DataCenter: record.DataCenter,
		GossipKeys: h.ring.Keys, GossipJoin: h.gossipMembers, Logger: h.log,
	}, cloud)
}

// everywhere are the builds of all heads: one is ended by the head that carries
// it out, whichever is asked.
type everywhere struct {
	*build.Service
	circle *circle.Circle
}

// CancelBuild implements dockerapi.Builds.
func (e everywhere) CancelBuild(ctx context.Context, a model.Account, id string) error {
	return e.circle.CancelEverywhere(ctx, a, id)
}

// adminEndpoint is the operator's socket. A socket file that an earlier head
// left behind is taken over; one that a head listens on is not.
func (h *head) adminEndpoint(ctx context.Context) (endpoint, error) {
	path := h.cfg.Socket
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return endpoint{}, fmt.Errorf("cannot make the operator's socket: %w", err)
	}
	var d net.Dialer
	if conn, err := d.DialContext(ctx, "unix", path); err == nil {
		conn.Close()
		return endpoint{}, fmt.Errorf("another head listens on the operator's socket %s", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return endpoint{}, fmt.Errorf("cannot remove the old operator's socket: %w", err)
	}
	l, err := listenPrivate(ctx, path)
	if err != nil {
		return endpoint{}, fmt.Errorf("cannot listen on the operator's socket: %w", err)
	}
	handler := adminapi.NewHandler(adminapi.Config{
		Store: h.circle.Heads, CA: h.home.ca, Name: h.cfg.Name, ID: h.home.record.HeadID,
		DataCenter: h.home.record.DataCenter, Version: h.cfg.Version, DockerHost: h.dockerHost(),
		GossipKeys: h.ring.Keys, GossipJoin: h.gossipMembers,
		Seen: h.nodes.Seen, Load: h.ring.Load, Twin: h.twin, Agent: h.nodes.Agent, RemoveHead: h.circle.Remove,
		Backup: h.backup, Restore: h.restore, Rotate: h.rotateKeys,
		Findings: h.circle.FindingsOfLeader,
		Explain:  h.containers.Explain, Volumes: h.volumes, Moves: h.transfers, PlanMoves: h.containers.PlanMoves,
		Details: h.status,
		Logger:  h.log,
	})
	return endpoint{"operator", l, &http.Server{Handler: handler, ReadHeaderTimeout: dockerapi.ReadHeaderTimeout}}, nil
}

// twin is the address of another machine that uses a node's identity: as the
// ring tells, or the node's own, when two agents answer there by turns.
func (h *head) twin(nodeID string) (address string, there bool) {
	if address, there = h.ring.Twin(nodeID); there || !h.nodes.Doubled(nodeID) {
		return address, there
	}
	n, there := h.store.View().Node(nodeID)
	return n.Address, there
}

// listenPrivate makes a socket under another name, and gives it its own when
// only root can open it: there is no moment in which others can.
func listenPrivate(ctx context.Context, path string) (net.Listener, error) {
	var lc net.ListenConfig
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := lc.Listen(ctx, "unix", fresh)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(fresh, 0o600), os.Rename(fresh, path)); err != nil {
		l.Close()
		return nil, err
	}
	return &removingListener{l, path}, nil
}

// removingListener removes its socket's file when it is closed.
type removingListener struct {
	net.Listener
	path string
}

func (r *removingListener) Close() error {
	err := r.Listener.Close()
	os.Remove(r.path) // may be gone
	return err
}

// serve answers and leads until ctx ends or a part of the head fails, and
// returns when all of it has stopped.
func (h *head) serve(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	leading, endLeading := context.WithCancel(context.WithoutCancel(ctx))
	defer endLeading()

	var running sync.WaitGroup
	for _, e := range append(h.endpoints, h.peersEnd) {
		e.server.BaseContext = func(net.Listener) context.Context { return requests }
		running.Go(func() {
			if e.name == endpointDocker {
				h.lookAround(ctx)
			}
			if err := e.server.Serve(e.listener); !errors.Is(err, http.ErrServerClosed) {
				stop(fmt.Errorf("the %s endpoint has failed: %w", e.name, err))
			}
		})
	}
	if h.zones != nil {
		running.Go(func() {
			if err := h.zones.Serve(); err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("answering questions of DNS has failed: %w", err))
			}
		})
	}
	running.Go(func() { h.metrics.Loop(ctx, "publisher", h.publisher.Run) })
	running.Go(func() { h.lead(leading) })
	running.Go(func() { h.metrics.Loop(leading, "watch", h.nodes.Watch) })
	running.Go(func() { h.metrics.Loop(leading, "upkeep", h.upkeep) })
	running.Go(func() { h.metrics.Loop(leading, "agreement", h.circle.Agreement().Run) })
	running.Go(func() {
		if err := h.circle.Announce(leading, h.self(), h.home.record.Peers); err != nil {
			stop(err)
		}
	})

	select {
	case <-ctx.Done():
	case <-h.store.Failed():
		stop(fmt.Errorf("the replicated state has failed: %w", h.store.Err()))
	}
	h.handOver(ctx)
	h.stopServing(ctx, endRequests)
	endLeading() // not before: requests wait for what the leader records
	h.peersEnd.close()
	if h.zones != nil {
		h.zones.Close()
	}
	running.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}

// lookAround lets users wait at the door while this head finds out, in its first
// moments, who leads and which nodes are there: it would refuse what it can do.
func (h *head) lookAround(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, lookAroundLimit)
	defer cancel()
	if h.store.Ready(limited) != nil {
		return
	}
	limited, cancel = context.WithTimeout(ctx, nodesLimit)
	defer cancel()
	h.nodes.Settled(limited)
}

// stopServing lets nothing more in, ends streams after a moment, and users'
// questions when they are answered: until then other heads may be about to find
// out who leads.
func (h *head) stopServing(ctx context.Context, endRequests func()) {
	streams := time.AfterFunc(stopGrace, h.requests.endStreams)
	defer streams.Stop()
	var stopping sync.WaitGroup
	for _, e := range h.endpoints {
		patience := stopGrace
		if e.name == endpointDocker {
			patience = questionGrace
		}
		stopping.Go(func() {
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			if e.server.Shutdown(grace) != nil {
				e.server.Close() // its errors are those of connections that are gone
			}
		})
	}
	stopping.Wait()
	endRequests()
	if err := h.requests.wait(streamGrace); err != nil {
		h.log.Warn("some streams did not end", slog.Any("err", err))
	}
}
