package containers_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/containers"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// The data center of the benchmarks.
const (
	benchNodes      = 10_000
	benchContainers = 100_000
	benchAccounts   = 100
)

// memoryStore is a store whose commits cost nothing but their application.
type memoryStore struct {
	mu    sync.Mutex
	state *state.State
	index uint64
}

func (m *memoryStore) Propose(_ context.Context, c command.Command) (raftstore.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index++
	_, err := m.state.Apply(m.index, command.Entry{Command: c})
	return raftstore.Result{}, err
}

func (m *memoryStore) View() *state.View { return m.state.View() }

func (m *memoryStore) Wait(context.Context, func(*state.View) (bool, error)) error { return nil }

type connected struct{}

func (connected) Agent(string) wire.Agent { return nil }
func (connected) Connected(string) bool   { return true }

func benchID(kind string, n int) string { return fmt.Sprintf("%s-%06d", kind, n) }

// populate fills a store. Commands of one batch go in at once.
func populate(b *testing.B, store containers.Proposer) {
	b.Helper()
	batch := func(count int, c func(int) command.Command) {
		var all sync.WaitGroup
		const lanes = 64
		for lane := range lanes {
			all.Go(func() {
				for i := lane; i < count; i += lanes {
					if _, err := store.Propose(b.Context(), c(i)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	}
	batch(benchAccounts, func(i int) command.Command {
		return command.CreateAccount{Account: model.Account{ID: benchID("account", i), Login: benchID("user", i), Policy: model.PolicyTenant}}
	})
	batch(1, func(int) command.Command {
		return command.PutNetwork{Network: model.Network{
			ID: "net", Name: "net", Kind: model.NetworkExternal, NICTag: "external", Subnet: netip.MustParsePrefix("10.0.0.0/8"),
			Gateway: netip.MustParseAddr("10.0.0.1"), First: netip.MustParseAddr("10.0.0.2"), Last: netip.MustParseAddr("10.255.255.254"),
		}}
	})
	batch(benchNodes, func(i int) command.Command {
		return command.PutNode{Node: model.Node{
			ID: benchID("node", i), Name: benchID("host", i), Approved: true, Rack: fmt.Sprint("r", i/40), Zone: fmt.Sprint("z", i/2500),
			Info: model.NodeInfo{
				Hostname: benchID("host", i), Architecture: "amd64", NICTags: []string{"external"}, DiskQuota: true,
				Capacity: model.Resources{Memory: 256 << 30, CPU: 64_000, Disk: 4 << 40},
			},
		}}
	})
	batch(benchContainers, func(i int) command.Command {
		return command.ReserveContainer{Container: model.Container{
			ID: fmt.Sprintf("%064x", i), Name: benchID("c", i), AccountID: benchID("account", i%benchAccounts), NodeID: benchID("node", i%benchNodes),
			Created: time.Unix(int64(i), 0), Package: "small", Operation: benchID("op", i),
			Reserved: model.Resources{Memory: 1 << 30, CPU: 1000, Disk: 1 << 30},
			Spec:     model.ContainerSpec{Image: "busybox", ImageID: "sha256:1", Labels: map[string]string{"app": fmt.Sprint("app", i%7)}},
			NICs: []model.NIC{{
				NetworkID: "net", MAC: fmt.Sprintf("02:00:00:%02x:%02x:%02x", i>>16&255, i>>8&255, i&255),
				Address: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i>>16) + 1, byte(i >> 8), byte(i)}), 8),
			}},
		}}
	})
}

func benchIntent(n int, rules ...string) containers.Intent {
	return containers.Intent{
		Container: model.Container{
			ID: model.NewID(), Name: benchID("new", n), AccountID: benchID("account", n%benchAccounts), Operation: benchID("create", n),
			Created: time.Now(), Package: "small", Reserved: model.Resources{Memory: 1 << 20, CPU: 10, Disk: 1 << 20},
			Spec: model.ContainerSpec{Image: "busybox", ImageID: "sha256:1", Labels: map[string]string{"app": "web"}},
			NICs: []model.NIC{{NetworkID: "net", Interface: "eth0", Primary: true}},
		},
		Platform: "amd64", Rules: rules,
	}
}

func service(store containers.Store) *containers.Service {
	return containers.New(containers.Config{Store: store, Agents: connected{}, Logger: slog.New(slog.DiscardHandler)})
}

// processorTime is what this process has used, which says more than the time
// that has gone by where other work is done beside it.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkReserve is a whole decision, its commit to memory included.
func BenchmarkReserve(b *testing.B) {
	store := &memoryStore{state: state.New()}
	populate(b, store)
	s, n := service(store), 0
	for name, rules := range map[string][]string{"plain": nil, "with rules": {"app!=app1", "zone==~z1"}} {
		b.Run(name, func(b *testing.B) {
			var times []time.Duration
			used := processorTime(b)
			for b.Loop() {
				n++
				in := benchIntent(n, rules...)
				began := time.Now()
				if _, err := s.Reserve(b.Context(), in); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(began))
			}
			b.ReportMetric(float64((processorTime(b)-used).Microseconds())/float64(len(times)), "cpu-µs/op")
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkReserveWithCommits is decisions for many users at once, committed to
// a disk by one head.
func BenchmarkReserveWithCommits(b *testing.B) {
	store, err := raftstore.Open(b.Context(), raftstore.Config{
		Dir: b.TempDir(), ID: "head-1", Bind: "127.0.0.1:0", Bootstrap: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	if err := store.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	populate(b, store)
	s := service(store)
	var mu sync.Mutex
	n := 0
	b.SetParallelism(32)
	used := processorTime(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			in := benchIntent(n)
			mu.Unlock()
			if _, err := s.Reserve(b.Context(), in); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
	b.ReportMetric(float64((processorTime(b)-used).Microseconds())/float64(b.N), "cpu-µs/op")
}
