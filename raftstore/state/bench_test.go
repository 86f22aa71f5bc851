package state

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/internal/heaproom"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

const (
	manyContainers = 100_000
	manyAccounts   = 1_000
	manyNodes      = 10_000
)

// crowded is a data center with 100,000 containers.
func crowded(b *testing.B) *State {
	b.Helper()
	s := New()
	index := uint64(0)
	must := func(c command.Command) {
		index++
		if _, err := s.Apply(index, command.Entry{Command: c}); err != nil {
			b.Fatal(err)
		}
	}
	for n := range manyAccounts {
		must(testAccount(n))
	}
	for n := range manyNodes {
		must(testNode(n, 1<<40))
	}
	must(command.PutNetwork{Network: model.Network{
		ID: "net", Name: "net", Kind: model.NetworkExternal, Subnet: netip.MustParsePrefix("10.0.0.0/8"),
		First: netip.MustParseAddr("10.0.0.2"), Last: netip.MustParseAddr("10.255.255.254"),
	}})
	for n := range manyContainers {
		must(crowdedContainer(n))
	}
	return s
}

func crowdedContainer(n int) command.ReserveContainer {
	return command.ReserveContainer{Container: model.Container{
		ID: fmt.Sprintf("%064x", n), Name: fmt.Sprint("container-", n), AccountID: fmt.Sprint("account-", n%manyAccounts),
		NodeID: fmt.Sprint("node-", n%manyNodes), Created: epoch.Add(time.Duration(n) * time.Second), Package: "small",
		Reserved: model.Resources{Memory: 1 << 20, CPU: 10, Disk: 1 << 20}, Operation: fmt.Sprint("operation-", n),
		Spec: model.ContainerSpec{
			Image: "busybox:latest", ImageID: "sha256:1", Hostname: fmt.Sprint("c", n), Cmd: []string{"sleep", "1000"},
			Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, Labels: map[string]string{"app": "web"},
		},
		NICs: []model.NIC{{
			NetworkID: "net", Interface: "eth0", MAC: fmt.Sprintf("02:00:00:%02x:%02x:%02x", n>>16&255, n>>8&255, n&255),
			Address: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n>>16) + 1, byte(n >> 8), byte(n)}), 8),
		}},
		DockerRequest: bytes.Repeat([]byte{'x'}, 500),
	}}
}

func BenchmarkCrowded(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := crowded(b)
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.Run("memory", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/manyContainers, "bytes/container")
	})
	b.Run("list one account's", func(b *testing.B) {
		for b.Loop() {
			if n := len(s.View().Containers("account-7")); n != manyContainers/manyAccounts {
				b.Fatal(n)
			}
		}
	})
	b.Run("find by name", func(b *testing.B) {
		for b.Loop() {
			if _, ok := s.View().ContainerByName("account-7", "container-7"); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("reserve", func(b *testing.B) {
		index := s.View().Index()
		n := manyContainers
		for b.Loop() {
			index++
			if _, err := s.Apply(index, command.Entry{Command: crowdedContainer(n)}); err != nil {
				b.Fatal(err)
			}
			n++
		}
	})
	b.Run("journal", func(b *testing.B) {
		j := journals{s: s, index: s.View().Index()}
		for b.Loop() {
			j.next(b)
		}
	})
	b.Run("snapshot", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.View().Hash(); err != nil {
				b.Fatal(err)
			}
		}
	})
	var snapshot bytes.Buffer
	if err := s.View().Write(&snapshot); err != nil {
		b.Fatal(err)
	}
	b.Run("restore", func(b *testing.B) {
		for b.Loop() {
			if _, err := Restore(bytes.NewReader(snapshot.Bytes())); err != nil {
				b.Fatal(err)
			}
		}
	})
	runtime.KeepAlive(s)
}

// journals are batches of what nodes tell: that a container runs or has ended.
type journals struct {
	s     *State
	index uint64
	n     int
}

func (j *journals) next(b *testing.B) {
	j.index++
	id, action := j.n%manyContainers, []string{"create", "start", "die"}[j.n/manyContainers%3]
	node := fmt.Sprint("node-", id%manyNodes)
	known, _ := j.s.View().Node(node)
	j.n++
	entry := model.JournalEntry{Seq: known.JournalSeq + 1, Time: epoch, ContainerID: fmt.Sprintf("%064x", id), Action: action}
	if _, err := j.s.Apply(j.index, command.Entry{Command: command.CommitJournal{NodeID: node, Epoch: "e", Entries: []model.JournalEntry{entry}}}); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkResident is how much memory a process takes that holds the state and
// nothing else, with a collector set as a head's is: after the containers were
// made, and after what their nodes told then.
func BenchmarkResident(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(headGC))
	ctx, end := context.WithCancel(b.Context())
	var keeping sync.WaitGroup
	defer keeping.Wait()
	defer end()
	keeping.Go(func() { heaproom.Keep(ctx, headRoom, headGC) })
	s := crowded(b)
	made := resident(b)
	j := journals{s: s, index: s.View().Index()}
	for range 20_000 {
		j.next(b)
	}
	for b.Loop() {
	}
	b.ReportMetric(made, "MiB-made")
	b.ReportMetric(resident(b), "MiB-later")
	runtime.KeepAlive(s)
}

// These are as in cmd/spearhead.
const (
	headGC   = 50
	headRoom = 96 << 20
)

// resident is this process's memory in MiB.
func resident(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kib)[0])
			if err != nil {
				b.Fatal(err)
			}
			return float64(n) / 1024
		}
	}
	b.Fatal("the kernel does not tell the memory of this process")
	return 0
}
