package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/spearheadcloud/spearhead/gossip"
	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/headnode/nodes"
	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/headnode/reconcile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Store is what is looked up of the replicated store.
type Store interface {
	View() *state.View
	Stats() raftstore.Stats
}

// Sources are what Metrics looks things up in when it is asked. Every one but
// Logger is required.
type Sources struct {
	Store    Store
	Session  func(nodeID string) nodes.Session
	Findings func(nodeID string) reconcile.Findings
	Members  func() []gossip.Member
	Images   func() images.Debts
	Gates    func() map[string]containers.Gate
	Logger   *slog.Logger
}

// Metrics counts. The zero value counts nothing; New makes one. It is safe for
// concurrent use.
type Metrics struct {
	name, id, version string
	started           time.Time
	registry          *prometheus.Registry

	requests   *prometheus.CounterVec
	latency    *prometheus.HistogramVec
	commits    *prometheus.CounterVec
	commitTime prometheus.Histogram
	placements *prometheus.CounterVec
	placeTime  prometheus.Histogram
	refusals   *prometheus.CounterVec

	mu    sync.Mutex
	loops map[string]loop
}

// loop is work that goes on while this head leads.
type loop struct {
	since   time.Time
	running bool
}

// latencyBuckets are from a listing out of memory to a container's creation on
// a slow disk, in seconds.
var latencyBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// New returns the Metrics of the head with this name, id and version.
func New(name, id, version string) *Metrics {
	m := &Metrics{
		name: name, id: id, version: version, started: time.Now(), registry: prometheus.NewRegistry(), loops: map[string]loop{},
		requests:   counters("spearhead_api_requests_total", "Requests of users, by route and status.", "route", "status"),
		latency:    prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "spearhead_api_seconds", Help: "Time to answer users' requests, without those that became streams.", Buckets: latencyBuckets}, []string{"route"}),
		commits:    counters("spearhead_raft_proposals_total", "Commands that this head proposed as leader, by outcome.", "outcome"),
		commitTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "spearhead_raft_commit_seconds", Help: "Time until a quorum had a command and this head had applied it.", Buckets: latencyBuckets}),
		placements: counters("spearhead_placements_total", "Decisions on where a container goes, by outcome.", "outcome"),
		placeTime:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "spearhead_placement_seconds", Help: "Time from taking a decision up until it was reserved.", Buckets: latencyBuckets}),
		refusals:   counters("spearhead_placement_refusals_total", "Nodes that were passed over in decisions which found none, by reason.", "reason"),
	}
	m.registry.MustRegister(m.requests, m.latency, m.commits, m.commitTime, m.placements, m.placeTime, m.refusals,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "spearhead_head_info", Help: "Always 1; the labels say which head this is.",
		ConstLabels: prometheus.Labels{"head": name, "id": id, "version": version},
	}, func() float64 { return 1 }))
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// Served counts an answered request of a user.
func (m *Metrics) Served(s dockerapi.Served) {
	route := string(s.Route)
	if s.Route == compat.Route("") {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(s.Status)).Inc()
	if s.Status != http.StatusSwitchingProtocols {
		m.latency.WithLabelValues(route).Observe(s.Took.Seconds())
	}
}

// Proposed counts a command that this head proposed, with the error that came
// of it.
func (m *Metrics) Proposed(took time.Duration, err error) {
	switch {
	case err == nil:
		m.commits.WithLabelValues("committed").Inc()
	case model.IsKind(err, model.KindUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		m.commits.WithLabelValues("unknown").Inc()
		return
	default:
		m.commits.WithLabelValues("refused").Inc()
	}
	m.commitTime.Observe(took.Seconds())
}

// Placed counts a decision of this head on where a container goes.
func (m *Metrics) Placed(took time.Duration, err error) {
	m.placeTime.Observe(took.Seconds())
	var none *placement.NoNodeError
	switch {
	case err == nil:
		m.placements.WithLabelValues("placed").Inc()
	case errors.As(err, &none):
		m.placements.WithLabelValues("no_node").Inc()
		for _, c := range none.Decision.Refused {
			m.refusals.WithLabelValues(c.Reason).Add(float64(c.Nodes))
		}
	default:
		m.placements.WithLabelValues("failed").Inc()
	}
}

// Loop does work of the given name, and notes meanwhile that it goes on.
func (m *Metrics) Loop(ctx context.Context, name string, work func(context.Context)) {
	m.note(name, true)
	defer m.note(name, false)
	work(ctx)
}

func (m *Metrics) note(name string, running bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loops[name] = loop{time.Now(), running}
}

// Handler serves the numbers at /metrics, the page for operators at /status
// and the places of all machines' numbers at /targets. It may be called once.
func (m *Metrics) Handler(s Sources) http.Handler {
	m.registry.MustRegister(&collector{s})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.Logger.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4,
	}))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, m.Status(s)) })
	mux.HandleFunc("GET /targets", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, targets(s.Store.View())) })
	return mux
}
