package bench

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// table is what was measured, in the order in which it was.
type table struct{ rows []*row }

// row is one measure: the samples of each engine.
type row struct {
	what, unit string
	goal       string // of the ratio, or of ours alone
	samples    map[string][]float64
}

// add takes a sample of an engine.
func (t *table) add(what, unit, engine string, sample float64) {
	at := slices.IndexFunc(t.rows, func(r *row) bool { return r.what == what })
	if at < 0 {
		at = len(t.rows)
		t.rows = append(t.rows, &row{what: what, unit: unit, goal: goals[what], samples: map[string][]float64{}})
	}
	t.rows[at].samples[engine] = append(t.rows[at].samples[engine], sample)
}

// ratio is ours divided by dockerd's, if there are both.
func (r *row) ratio() (ratio float64, ok bool) {
	if len(r.samples[ours]) == 0 || median(r.samples[theirs]) == 0 {
		return 0, false
	}
	return median(r.samples[ours]) / median(r.samples[theirs]), true
}

// report hands the rows to the benchmark's line.
func (t *table) report(b *testing.B) {
	b.ReportMetric(0, "ns/op") // of no meaning here; 0 hides it
	for _, r := range t.rows {
		name := strings.NewReplacer(" ", "-", ",", "", ":", "").Replace(r.what)
		for engine, samples := range r.samples {
			b.ReportMetric(median(samples), fmt.Sprintf("%s:%s-%s", name, engine, r.unit))
		}
		if ratio, ok := r.ratio(); ok {
			b.ReportMetric(ratio, name+":ratio")
		}
	}
}

// print writes the rows as Markdown.
func (t *table) print(w io.Writer) {
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n| measure (median) | dockerd | ours | ratio | goal |\n|---|---|---|---|---|\n")
	for _, r := range t.rows {
		cell := func(engine string) string {
			if len(r.samples[engine]) == 0 {
				return "–"
			}
			return figure(median(r.samples[engine])) + " " + r.unit
		}
		ratio := "–"
		if value, ok := r.ratio(); ok {
			ratio = figure(value)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", r.what, cell(theirs), cell(ours), ratio, r.goal)
	}
	fmt.Fprintln(w)
}

// figure writes a number with three digits that count.
func figure(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

// median is 0 of nothing.
func median(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// turns calls do for each engine in each round, in an order that changes. A round before the
// first warms up: what do adds to its table there is thrown away.
func (s *stage) turns(rounds int, do func(e *engine, into *table) error) (*table, error) {
	if _, err := s.coldTurns(1, do); err != nil {
		return nil, err
	}
	return s.coldTurns(rounds, do)
}

// coldTurns is turns without the round that warms up.
func (s *stage) coldTurns(rounds int, do func(e *engine, into *table) error) (*table, error) {
	order := rand.New(rand.NewPCG(1, 2))
	measured := &table{}
	for range rounds {
		for _, i := range order.Perm(len(s.engines)) {
			if err := do(s.engines[i], measured); err != nil {
				return nil, err
			}
		}
	}
	return measured, nil
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		samples []float64
		want    float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.samples); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.samples, got, c.want)
		}
	}
}

func TestTableComparesOursWithTheirs(t *testing.T) {
	t.Parallel()
	var measured table
	for _, sample := range []float64{1, 2, 6} {
		measured.add("start", "ms", ours, sample)
		measured.add("start", "ms", theirs, 4*sample)
	}
	measured.add("alone", "s", ours, 1)
	measured.add("theirs", "s", theirs, 1)
	var text strings.Builder
	measured.print(&text)
	for _, want := range []string{"| start | 8.00 ms | 2.00 ms | 0.250 |  |", "| alone | – | 1.00 s | – |  |", "| theirs | 1.00 s | – | – |  |"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, text.String())
		}
	}
}
