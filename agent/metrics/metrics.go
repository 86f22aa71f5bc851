package metrics

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts what happens on a node. It is safe for concurrent use; a nil
// one counts nothing.
type Metrics struct {
	name, version string
	started       time.Time

	registry *prometheus.Registry
	images   *prometheus.CounterVec
	transfer *prometheus.HistogramVec
}

// transferBuckets are from an image that is there already to one of gigabytes,
// in seconds.
var transferBuckets = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}

// New returns the Metrics of the node with this name and version.
func New(name, version string) *Metrics {
	m := &Metrics{
		name: name, version: version, started: time.Now(),
		registry: prometheus.NewRegistry(),
		images: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "spearhead_agent_images_total", Help: "Images that were fetched, by way (pull, copy, load) and outcome.",
		}, []string{"way", "outcome"}),
		transfer: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "spearhead_agent_image_seconds", Help: "Time to fetch an image, unpacking included.", Buckets: transferBuckets,
		}, []string{"way"}),
	}
	m.registry.MustRegister(m.images, m.transfer, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "spearhead_agent_info", Help: "Always 1; the labels say which node this is.",
		ConstLabels: prometheus.Labels{"node": name, "version": version},
	}, func() float64 { return 1 }))
	return m
}

// Fetched counts an image that was to be fetched in some way, and what came
// of it.
func (m *Metrics) Fetched(way string, took time.Duration, err error) {
	if m == nil {
		return
	}
	if err != nil {
		m.images.WithLabelValues(way, "failed").Inc()
		return
	}
	m.images.WithLabelValues(way, "fetched").Inc()
	m.transfer.WithLabelValues(way).Observe(took.Seconds())
}

// Handler serves the numbers at /metrics, and at /status a page for operators,
// as JSON. It may be called once.
func (m *Metrics) Handler(n Node, logger *slog.Logger) http.Handler {
	m.registry.MustRegister(&collector{node: n, log: logger})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn), MaxRequestsInFlight: 1, Timeout: scrapeTimeout + time.Second,
	}))
	mux.HandleFunc("GET /status", m.serveStatus(n))
	return mux
}
