package bench

import (
	"context"
	"testing"
	"time"
)

// goals are what the ratios, or ours alone, must reach.
var goals = map[string]string{
	"life, NIC: all":                   "≤ 0.25",
	"life, no NIC: all":                "≤ 0.25",
	"docker run --rm":                  "≤ 0.40",
	"create and start, 8 at once":      "≥ 5",
	"memory per idle container (PSS)":  "≤ 307 KiB",
	"list, 1 client":                   "≥ 20",
	"list, 16 clients":                 "≥ 30",
	"inspect, 16 clients":              "≥ 0.5",
	"ping, 16 clients":                 "≥ 0.8",
	"attach, one stream":               "≥ 0.8",
	"logs, one stream":                 "≥ 0.8",
	"attach, nothing logged":           "≥ 0.8",
	"docker cp, in":                    "≥ 0.8",
	"docker cp, out":                   "≥ 0.8",
	"head with idle containers (RSS)":  "≤ 60 MiB",
	"agent with idle containers (RSS)": "≤ 60 MiB",
	"spearhead dev up":                 "≤ 5 s",

	"pull, layers: 1": "≥ 1.5",
	"pull, layers: 5": "≥ 1.5",

	"build of 10 steps, the faster client":    "≤ 1",
	"the same build again, the faster client": "≤ 0.3",
}

// measured runs a measure and reports it. The number of rounds is the measure's own: b.N is
// not asked for, as each takes longer than a benchmark's usual second.
func measured(b *testing.B, measure func(ctx context.Context, s *stage) (*table, error)) {
	b.Helper()
	s := useStage(b)
	b.ResetTimer()
	t, err := measure(b.Context(), s)
	if err != nil {
		b.Fatal(err)
	}
	t.report(b)
	staged.table.rows = append(staged.table.rows, t.rows...)
}

// Memory comes first, as long as no daemon has grown from other work.
func BenchmarkMemory(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.memory(ctx, 100) })
}

func BenchmarkLife(b *testing.B) {
	b.Run("nic", func(b *testing.B) {
		measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.life(ctx, "", 25) })
	})
	b.Run("none", func(b *testing.B) {
		measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.life(ctx, "none", 25) })
	})
}

func BenchmarkDockerRun(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.dockerRun(ctx, 15) })
}

func BenchmarkBurst(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.burst(ctx, 3, 40) })
}

func BenchmarkStreams(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.streams(ctx, 5, 64) })
}

// BenchmarkStream has 1 GiB that nobody logs.
func BenchmarkStream(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.stream(ctx, 5, 1024) })
}

// BenchmarkReads has 1,000 containers in each engine.
func BenchmarkReads(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) {
		return s.rates(ctx, 6, 1000, 500*time.Millisecond)
	})
}

// BenchmarkPulls has images of 200 MB.
func BenchmarkPulls(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.pulls(ctx, 5, 200) })
}

func BenchmarkSecondNode(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.secondNode(ctx, 5, 200) })
}

func BenchmarkBuilds(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) {
		if !canBuild() {
			b.Skip("needs spearhead-buildkitd: build it with scripts/buildkit")
		}
		return s.builds(ctx, 7)
	})
}

func BenchmarkDevUp(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.devUp(ctx, b.TempDir(), 3) })
}

// TestMeasures runs every measure once and small: each must find something of each engine.
func TestMeasures(t *testing.T) {
	s := useStage(t)
	measures := map[string]func() (*table, error){
		"life with a NIC":    func() (*table, error) { return s.life(t.Context(), "", 1) },
		"life without a NIC": func() (*table, error) { return s.life(t.Context(), "none", 1) },
		"docker run":         func() (*table, error) { return s.dockerRun(t.Context(), 1) },
		"burst":              func() (*table, error) { return s.burst(t.Context(), 1, 3) },
		"memory":             func() (*table, error) { return s.memory(t.Context(), 2) },
		"streams":            func() (*table, error) { return s.streams(t.Context(), 1, 1) },
		"copies":             func() (*table, error) { return s.copies(t.Context(), 1, 1) },
		"stream":             func() (*table, error) { return s.stream(t.Context(), 1, 1) },
		"reads":              func() (*table, error) { return s.rates(t.Context(), 1, 3, time.Millisecond) },
		"dev up":             func() (*table, error) { return s.devUp(t.Context(), t.TempDir(), 1) },
		"pulls":              func() (*table, error) { return s.pulls(t.Context(), 1, 1) },
		"second node":        func() (*table, error) { return s.secondNode(t.Context(), 1, 1) },
	}
	if canBuild() {
		measures["builds"] = func() (*table, error) { return s.builds(t.Context(), 1) }
	}
	for name, measure := range measures {
		found, err := measure()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(found.rows) == 0 {
			t.Errorf("%s measured nothing", name)
		}
		for _, r := range found.rows {
			for engine, samples := range r.samples {
				if len(samples) != 1 || samples[0] <= 0 && r.unit != "KiB" {
					t.Errorf("%s of %s: the samples are %v, want one above 0", r.what, engine, samples)
				}
			}
		}
	}
	for _, e := range s.engines {
		var left []struct{ ID string }
		if err := e.do(t.Context(), "GET", "/containers/json?all=1", nil, &left); err != nil {
			t.Error(err)
		}
		if e.name == ours && len(left) > 0 {
			t.Errorf("%d containers are left in the rack", len(left))
		}
	}
}
