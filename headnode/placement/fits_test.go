package placement

import (
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

func TestHowManyMoreFit(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	whole := model.Node{
		Approved: true, Info: model.NodeInfo{Capacity: model.Resources{Memory: 64 * gib, CPU: 8000, Disk: 1000 * gib}, DiskQuota: true},
	}
	for _, c := range []struct {
		name     string
		change   func(*model.Node)
		promised model.Resources
		need     model.Resources
		want     int
	}{
		{"by memory", nil, model.Resources{Memory: 10 * gib}, model.Resources{Memory: 4 * gib}, 13},
		{"by CPU, promised four times", nil, model.Resources{}, model.Resources{Memory: gib, CPU: 2000}, 16},
		{"by disk", nil, model.Resources{}, model.Resources{Memory: gib, Disk: 100 * gib}, 10},
		{"disk that nobody holds them to", func(n *model.Node) { n.Info.DiskQuota = false }, model.Resources{}, model.Resources{Memory: gib, Disk: 100 * gib}, 64},
		{"by number", func(n *model.Node) { n.MaxContainers = 5 }, model.Resources{}, model.Resources{Memory: gib}, 3},
		{"by a ratio", func(n *model.Node) { n.Overcommit.Memory = 0.5 }, model.Resources{}, model.Resources{Memory: gib}, 32},
		{"more promised than there is", nil, model.Resources{Memory: 65 * gib}, model.Resources{Memory: gib}, 0},
		{"cordoned", func(n *model.Node) { n.Cordoned = true }, model.Resources{}, model.Resources{Memory: gib}, 0},
		{"pending", func(n *model.Node) { n.Approved = false }, model.Resources{}, model.Resources{Memory: gib}, 0},
		{"lost", func(n *model.Node) { n.Lost = true }, model.Resources{}, model.Resources{Memory: gib}, 0},
	} {
		n := whole
		if c.change != nil {
			c.change(&n)
		}
		if got := Fits(&n, c.promised, 2, c.need); got != c.want {
			t.Errorf("%s: %d fit, want %d", c.name, got, c.want)
		}
	}
}
