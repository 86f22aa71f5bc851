package dockerapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

func (s *server) pruneContainers(c *call) error {
	f, until, err := s.pruneFilters(c, "label", "label!", "until")
	if err != nil {
		return err
	}
	removed, reclaimed, err := s.Control.Prune(c.ctx(), c.account, func(of *model.Container) bool {
		return before(of.Created, until) && f.labels("label", of.Spec.Labels) && f.withoutLabels("label!", of.Spec.Labels)
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, container.PruneReport{ContainersDeleted: removed, SpaceReclaimed: uint64(reclaimed)})
}

// pruneImages removes images without a name, or with dangling=false all that
// no container uses.
func (s *server) pruneImages(c *call) error {
	f, until, err := s.pruneFilters(c, "dangling", "label", "label!", "until")
	if err != nil {
		return err
	}
	dangling, given, err := f.flag("dangling")
	if err != nil {
		return err
	}
	removed, reclaimed, err := s.Pruner.PruneImages(c.ctx(), c.account, func(i Image) bool {
		if tags, _ := namesOf(&i); (dangling || !given) && len(tags) > 0 {
			return false
		}
		return before(i.Created, until) && f.labels("label", i.Config.Labels) && f.withoutLabels("label!", i.Config.Labels)
	})
	if err != nil {
		return err
	}
	report := image.PruneReport{SpaceReclaimed: uint64(reclaimed)}
	for i := range removed {
		report.ImagesDeleted = append(report.ImagesDeleted, removedItems(&removed[i])...)
	}
	return c.answer(http.StatusOK, report)
}

// pruneNetworks removes the account's own networks that no container is on.
func (s *server) pruneNetworks(c *call) error {
	f, until, err := s.pruneFilters(c, "label", "label!", "until")
	if err != nil {
		return err
	}
	removed, err := s.Networks.PruneNetworks(c.ctx(), c.account, func(n *model.Network) bool {
		return before(n.Created, until) && f.labels("label", n.Labels) && f.withoutLabels("label!", n.Labels)
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, network.PruneReport{NetworksDeleted: removed})
}

// pruneFilters reads the filters of a prune. until is zero where none is given.
func (s *server) pruneFilters(c *call, known ...string) (filters, time.Time, error) {
	if c.version.Has(compat.NoPrune) {
		return nil, time.Time{}, errPageNotFound
	}
	f, err := c.query.filters(known...)
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(f["until"]) > 1 {
		return nil, time.Time{}, invalid("more than one until filter specified")
	}
	until := time.Time{}
	for _, text := range f["until"] {
		if until, err = pastTime(text, s.now()); err != nil {
			return nil, time.Time{}, err
		}
	}
	return f, until, nil
}

func before(t, until time.Time) bool { return until.IsZero() || t.Before(until) }

// withoutLabels reports whether none of the labels, "key" or "key=value", is
// among the given.
func (f filters) withoutLabels(name string, labels map[string]string) bool {
	return !slices.ContainsFunc(f[name], func(unwanted string) bool {
		return filters{name: {unwanted}}.labels(name, labels)
	})
}
