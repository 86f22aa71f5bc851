package circle_test

import (
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// What many heads cost a request: to be sure that a head knows all, and to
// write through another head.
func BenchmarkHeads(b *testing.B) {
	for _, heads := range []struct {
		name  string
		count int
	}{{"alone", 1}, {"of-three", 3}} {
		r := headtest.NewRing(b, heads.count, 0)
		ask := []*headtest.Head{r.Leader()}
		names := []string{"leader"}
		if heads.count > 1 {
			ask, names = append(ask, r.Followers()[0]), append(names, "follower")
		}
		for i, h := range ask {
			b.Run(heads.name+"/fresh/"+names[i], func(b *testing.B) {
				for b.Loop() {
					if err := h.Circle.Heads.Fresh(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(heads.name+"/write/"+names[i], func(b *testing.B) {
				for b.Loop() {
					if _, err := h.Circle.Heads.Propose(b.Context(), command.SetSetting{Name: "a", Value: "b"}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
