package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spearheadcloud/spearhead/agent/metrics"
	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/model"
)

var _ metrics.Node = (*Agent)(nil)

// Metered implements metrics.Node.
func (a *Agent) Metered() []metrics.Container {
	all := a.snapshots()
	out := make([]metrics.Container, len(all))
	for i, s := range all {
		out[i] = metrics.Container{
			ID: s.ID, Name: s.Name, Account: s.Account, AccountID: s.AccountID,
			Running: s.Phase == state.PhaseRunning, Restarts: s.State.RestartCount,
			Memory: s.Spec.Limits.Memory, Disk: s.Spec.Limits.Disk, CPUs: float64(s.Spec.Limits.CPU()) / 1000,
		}
	}
	return out
}

// Supervised implements metrics.Node.
func (a *Agent) Supervised(ctx context.Context) (int, error) {
	running, err := a.drivers.Runtime.Running(ctx)
	return len(running), err
}

// Names implements metrics.Node.
func (a *Agent) Names(ctx context.Context) (metrics.Names, error) {
	s, err := a.drivers.Network.Names(ctx)
	return metrics.Names{
		Resolvers: s.Resolvers, Answered: s.Questions.Answered, Passed: s.Questions.Passed,
		Failed: s.Questions.Failed, Dropped: s.Questions.Dropped,
	}, err
}

// JournalSeq implements metrics.Node.
func (a *Agent) JournalSeq() uint64 { return a.records.Place().Seq }

// Storage implements metrics.Node.
func (a *Agent) Storage() (model.StorageFault, int64, bool) {
	last := a.storage.Load()
	if last == nil {
		return "", 0, false
	}
	return last.fault, last.free, true
}

// metricsFarewell is how long an answer that is being written may take when
// the agent ends.
const metricsFarewell = time.Second

// openMetrics listens where numbers are fetched; nil is nowhere.
func openMetrics(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for who fetches metrics: %w", err)
	}
	return l, nil
}

// serveMetrics serves until ctx ends, and closes the listener.
func serveMetrics(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), metricsFarewell)
		defer cancel()
		if server.Shutdown(last) != nil {
			server.Close()
		}
	})
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Error("cannot serve metrics any more", "op", "metrics", "err", err)
	}
}

// metricsAddress is where others fetch this node's numbers: the host is that
// of the agent's own address where it listens on all.
func metricsAddress(listen, advertise string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host, _, _ = net.SplitHostPort(advertise) // checked when the agent listened there
	}
	return net.JoinHostPort(host, port)
}
