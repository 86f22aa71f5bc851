package images

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// excludeLimit bounds what is done while nothing may bring an image to a node.
// It is shorter than the other heads let themselves be held up.
const excludeLimit = 25 * time.Second

// Hold lets nothing begin on this head that brings an image to a node, until
// release: another head, which leads, is going to let nodes forget images. It
// fails with KindConflict while something of that sort is under way. arriving
// are nodes that accounts are sending archives to.
func (s *Service) Hold() (arriving []string, release func(), err error) {
	if !s.bytes.TryLock() {
		return nil, nil, errArriving
	}
	return s.arrivals.list(), s.bytes.Unlock, nil
}

var errArriving = model.Errorf(model.KindConflict, "images are on their way to nodes")

// exclude is Hold on all heads; the context of what follows ends before the
// others go on. ok is false while images are on their way.
func (s *Service) exclude(ctx context.Context) (limited context.Context, arriving map[string]bool, release func(), ok bool) {
	own, letGo, err := s.Hold()
	if err != nil {
		return ctx, nil, nil, false
	}
	limited, cancel := context.WithTimeout(ctx, excludeLimit)
	letOwnGo := func() {
		cancel()
		letGo()
	}
	arriving = map[string]bool{}
	for _, nodeID := range own {
		arriving[nodeID] = true
	}
	if s.others == nil {
		return limited, arriving, letOwnGo, true
	}
	theirs, letOthersGo, err := s.others(limited)
	if err != nil {
		letOwnGo()
		if !model.IsKind(err, model.KindConflict) {
			s.log.Debug("cannot tell whether other heads have images on their way", slog.Any("err", err))
		}
		return ctx, nil, nil, false
	}
	for _, nodeID := range theirs {
		arriving[nodeID] = true
	}
	return limited, arriving, func() {
		letOthersGo()
		letOwnGo()
	}, true
}

func (a *arrivals) list() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Keys(a.nodes))
}
