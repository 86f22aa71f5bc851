package agree

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	a, b, newer := Answer{Hash: "a", Version: "1"}, Answer{Hash: "b", Version: "1"}, Answer{Hash: "n", Version: "2"}
	for _, c := range []struct {
		name    string
		answers map[string]Answer
		voters  int
		want    outcome
		differ  []string
	}{
		{"alone", map[string]Answer{"me": a}, 1, equal, nil},
		{"all equal", map[string]Answer{"me": a, "x": a, "y": a}, 3, equal, nil},
		{"nobody answers", map[string]Answer{"me": a}, 3, equal, nil},
		{"one other differs", map[string]Answer{"me": a, "x": b, "y": a}, 3, othersDiffer, []string{"x"}},
		{"the others differ", map[string]Answer{"me": a, "x": b, "y": b}, 3, diverged, []string{"x", "y"}},
		{"two of two", map[string]Answer{"me": a, "x": b}, 2, undecided, []string{"x"}},
		{"one of three is away", map[string]Answer{"me": a, "x": b}, 3, undecided, []string{"x"}},
		{"each has its own", map[string]Answer{"me": a, "x": b, "y": {Hash: "c", Version: "1"}}, 3, undecided, []string{"x", "y"}},
		{"three of five", map[string]Answer{"me": a, "v": b, "w": b, "x": b, "y": a}, 5, diverged, []string{"v", "w", "x"}},
		{"newer ones do not count", map[string]Answer{"me": a, "x": newer, "y": newer}, 3, equal, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := judge("me", c.answers, c.voters)
			if got.outcome != c.want {
				t.Errorf("got %d, want %d", got.outcome, c.want)
			}
			if diff := cmp.Diff(c.differ, got.differ); diff != "" {
				t.Error(diff)
			}
		})
	}
}
