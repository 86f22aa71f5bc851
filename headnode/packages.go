package headnode

import (
	"context"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// seedPackages gives a new data center sizes to begin with, each twice the one
// before, in one entry. A data center that has one of them without being
// marked as seeded is of a time before there were marks.
func (h *head) seedPackages(ctx context.Context) error {
	v, first := h.store.View(), firstPackages()
	had := func(p model.Package) bool {
		_, ok := v.Package(p.Name)
		return ok
	}
	if v.PackagesSeeded() || slices.ContainsFunc(first, had) {
		return nil
	}
	_, err := h.store.Propose(ctx, command.SeedPackages{Packages: first})
	return err
}

func firstPackages() []model.Package {
	var ps []model.Package
	for _, size := range []struct {
		name string
		mib  int64
	}{
		{"g1-128m", 128}, {"g1-256m", 256}, {"g1-512m", 512}, {"g1-1g", 1 << 10}, {"g1-2g", 2 << 10}, {"g1-4g", 4 << 10},
		{"g1-8g", 8 << 10}, {"g1-16g", 16 << 10}, {"g1-32g", 32 << 10}, {"g1-64g", 64 << 10}, {"g1-128g", 128 << 10},
	} {
		memory := size.mib << 20
		ps = append(ps, model.Package{
			ID: model.NewUUID(), Name: size.name, Family: "g1", Memory: memory, Swap: memory, CPUShares: max(size.mib, 64), Disk: 8 * memory,
			Pids: 1024 + size.mib, Active: true, Default: size.name == "g1-256m",
		})
	}
	return ps
}
