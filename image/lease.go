package image

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/opencontainers/go-digest"

	"github.com/spearheadcloud/spearhead/model"
)

// leaseTime is how long what an interrupted pull downloaded is kept.
const leaseTime = 24 * time.Hour

// refLabel holds a digest of the reference that a lease was made for. The
// reference itself is an account's affair.
const refLabel = "spearhead/ref"

// lease protects what a pull makes from garbage collection. The returned
// context belongs to the lease; release ends it with the pull's outcome.
func (s *Store) lease(ctx context.Context, ref string) (leased context.Context, release func(outcome error), err error) {
	label := digest.FromString(ref).Encoded()
	id := "pull-" + model.NewID()
	s.setPulling(id, true) // first, so that nobody takes it for an interrupted one
	lease, err := s.leases.Create(ctx, leases.WithID(id), leases.WithExpiration(leaseTime), leases.WithLabel(refLabel, label))
	if err != nil {
		s.setPulling(id, false)
		return nil, nil, fmt.Errorf("cannot begin pull: %w", err)
	}
	return leases.WithLease(ctx, lease.ID), func(outcome error) {
		s.setPulling(id, false)
		s.release(context.WithoutCancel(ctx), lease, label, outcome)
	}, nil
}

func (s *Store) setPulling(lease string, pulling bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pulling {
		s.pulls[lease] = true
	} else {
		delete(s.pulls, lease)
	}
}

// release gives up the leases of a reference that no pull works under: all of
// them, or, when this pull can be continued, all but its own.
func (s *Store) release(ctx context.Context, lease leases.Lease, label string, outcome error) {
	found, err := s.leases.List(ctx, fmt.Sprintf("labels.%q==%s", refLabel, label))
	if err != nil {
		s.log.Error("leases cannot be listed", "op", "pull", "err", err)
		return
	}
	for _, other := range found {
		s.mu.Lock()
		active := s.pulls[other.ID]
		s.mu.Unlock()
		if active || other.ID == lease.ID && outcome != nil && resumable(outcome) {
			continue
		}
		if err := s.leases.Delete(ctx, other); err != nil {
			s.log.Error("lease cannot be removed", "op", "pull", "err", err)
		}
	}
	if outcome != nil && !resumable(outcome) {
		if err := s.CollectGarbage(ctx); err != nil {
			s.log.Error("space of a failed pull is not free yet", "op", "pull", "err", err)
		}
	}
}

// claim puts a blob or layer under the pull's lease. It is done before one
// looks whether it is there: what is found then stays.
func (s *Store) claim(ctx context.Context, kind, id string) error {
	lease, ok := leases.FromContext(ctx)
	if !ok {
		return nil
	}
	if err := s.leases.AddResource(ctx, leases.Lease{ID: lease}, leases.Resource{ID: id, Type: kind}); err != nil {
		return fmt.Errorf("cannot hold on to a part of the image: %w", err)
	}
	return nil
}

// onceLeases begin the names of leases of work that is not gone on with when it
// was cut short: commits, and what archives are read and written.
const onceLeases = "commit-"

// leaseOnce protects what work makes and reads while it is done. Once the lease
// is released, what no image holds goes.
func (s *Store) leaseOnce(ctx context.Context, op string) (leased context.Context, release func(), err error) {
	lease, err := s.leases.Create(ctx, leases.WithID(onceLeases+model.NewID()), leases.WithExpiration(leaseTime))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot begin %s: %w", op, err)
	}
	return leases.WithLease(ctx, lease.ID), func() {
		ctx := context.WithoutCancel(ctx)
		err := s.leases.Delete(ctx, lease)
		if err == nil {
			err = s.CollectGarbage(ctx)
		}
		if err != nil {
			s.log.Error("space is not free yet", "op", op, "err", err)
		}
	}, nil
}

// dropOnce ends the leases of work that a crash cut short.
func (s *Store) dropOnce(ctx context.Context) error {
	found, err := s.leases.List(ctx)
	if err != nil {
		return fmt.Errorf("cannot list leases: %w", err)
	}
	for _, lease := range found {
		if !strings.HasPrefix(lease.ID, onceLeases) {
			continue
		}
		if err := s.leases.Delete(ctx, lease); err != nil {
			return fmt.Errorf("cannot end a lease: %w", err)
		}
	}
	return nil
}
