package gossip

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// BenchmarkRing runs 200 machines in one process, which tell their loads every
// three seconds as agents do. It reports how long they took to know each other,
// how old the loads are that one of them knows, and what a machine costs.
func BenchmarkRing(b *testing.B) {
	const machines, watched = 200, 30 * time.Second
	for b.Loop() {
		began := time.Now()
		ring := startMany(b, machines)
		head := ring[0]
		awaitRing(b, head, machines)
		b.ReportMetric(time.Since(began).Seconds(), "s-to-join")

		ctx, cancel := context.WithTimeout(b.Context(), watched)
		var telling sync.WaitGroup
		for _, g := range ring {
			telling.Go(func() { tellLoads(ctx, g) })
		}
		before := cpuTime(b)
		ages := watch(ctx, head, ring)
		used := cpuTime(b) - before
		telling.Wait()
		cancel()
		if len(ages) == 0 {
			b.Fatal("no load has arrived")
		}
		slices.Sort(ages)
		b.ReportMetric(ages[len(ages)/2].Seconds(), "s-age-p50")
		b.ReportMetric(ages[len(ages)*99/100].Seconds(), "s-age-p99")
		b.ReportMetric(100*used.Seconds()/watched.Seconds()/machines, "%core/machine")
		var closing sync.WaitGroup
		for _, g := range ring {
			closing.Go(func() { g.Close() }) // each waits for what it tries at the others
		}
		closing.Wait()
	}
}

func startMany(b *testing.B, n int) (ring []*Gossip) {
	b.Helper()
	for i := range n {
		cfg := Config{ID: fmt.Sprintf("m%03d", i), Role: RoleNode, Name: "n", Bind: "127.0.0.1:0", WireAddr: "10.0.0.1:7947", Keys: [][]byte{testKey}, Label: "dc"}
		if i > 0 {
			cfg.Join = []string{ring[0].Addr()}
		} else {
			cfg.Role, cfg.WireAddr = RoleHead, ""
		}
		g, err := Start(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		ring = append(ring, g)
	}
	return ring
}

// awaitRing waits until a machine knows all others; gossip has no event for it.
func awaitRing(b *testing.B, g *Gossip, machines int) {
	b.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for len(g.Members()) < machines {
		select {
		case <-tick.C:
		case <-b.Context().Done():
			b.Fatal("the machines do not find each other")
		}
	}
}

func tellLoads(ctx context.Context, g *Gossip) {
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		g.SetLoad(model.NodeLoad{Running: n, Sampled: time.Now()})
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// watch looks at the loads that one machine knows until ctx ends, and returns
// how old each was at each look.
func watch(ctx context.Context, at *Gossip, ring []*Gossip) (ages []time.Duration) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ages
		}
		if time.Since(began) < 5*time.Second { // the first loads all come at once
			continue
		}
		for _, g := range ring[1:] {
			if l, ok := at.Load(g.cfg.ID); ok {
				ages = append(ages, time.Since(l.Sampled))
			}
		}
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
