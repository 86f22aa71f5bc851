package raftstore

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func BenchmarkPropose(b *testing.B) {
	s := mustOpen(b, b.TempDir())
	i := 0
	for b.Loop() {
		mustPropose(b, s, command.SetSetting{Name: "n", Value: fmt.Sprint(i)})
		i++
	}
}

// BenchmarkProposeAs is BenchmarkPropose with the outcome remembered.
func BenchmarkProposeAs(b *testing.B) {
	s := mustOpen(b, b.TempDir())
	i := 0
	for b.Loop() {
		if _, err := s.ProposeAs(b.Context(), fmt.Sprintf("%032x", i), command.SetSetting{Name: "n", Value: fmt.Sprint(i)}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkPropose64 has 64 clients, who share what the disk can do.
func BenchmarkPropose64(b *testing.B) {
	for _, heads := range []int{1, 3} {
		b.Run(fmt.Sprintf("%d heads", heads), func(b *testing.B) { propose64(b, tlsHeads(b, newCA(b), heads)[0]) })
	}
}

// BenchmarkSync is what the disk alone does for a log of one write each.
func BenchmarkSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for b.Loop() {
		if _, err := f.Write(make([]byte, 256)); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
}

func propose64(b *testing.B, s *Store) {
	const clients = 64
	work := make(chan int)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := range work {
				mustPropose(b, s, command.SetSetting{Name: "n", Value: fmt.Sprint(i)})
			}
		})
	}
	i := 0
	for b.Loop() {
		work <- i
		i++
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "writes/s")
}

// BenchmarkReadIndex is what a fresh read costs besides the read.
func BenchmarkReadIndex(b *testing.B) {
	for _, heads := range []int{1, 3} {
		b.Run(fmt.Sprintf("%d heads", heads), func(b *testing.B) {
			s := tlsHeads(b, newCA(b), heads)[0]
			mustPropose(b, s, account(1))
			for b.Loop() {
				index, err := s.ReadIndex(b.Context())
				if err == nil {
					err = s.WaitApplied(b.Context(), index)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
