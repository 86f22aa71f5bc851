package nodestest

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// attended is what a node knows as a member. It has no clock: tests say when
// its lease is over.
type attended struct {
	marks     int
	granted   int // the latest mark that came back
	stopAfter time.Duration
	told      wire.Attention // the latest of each
	request   []byte
}

// StopAfter makes the node one that stops what may run elsewhere when it is cut
// off for so long; it says so in its Info.
func (a *Agent) StopAfter(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.standing.stopAfter, a.info.StopAfter = d, d
}

// AskRenewal makes the node ask for a certificate with that request.
func (a *Agent) AskRenewal(csr []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.standing.request = csr
}

// Told is the latest of each thing that the node was told.
func (a *Agent) Told() wire.Attention {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.standing.told
}

// Granted is how many times the node's lease was renewed.
func (a *Agent) Granted() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.standing.granted
}

// Attended is how many times the node was attended to.
func (a *Agent) Attended() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.standing.marks
}

// Attend implements wire.Agent.
func (a *Agent) Attend(_ context.Context, in wire.Attention) (wire.Standing, error) {
	if err := a.enter(); err != nil {
		return wire.Standing{}, err
	}
	defer a.mu.Unlock()
	own := &a.standing
	if mark, err := strconv.Atoi(in.Mark); err == nil && mark > own.granted {
		own.granted = mark
	}
	if in.Gone != nil {
		own.told.Gone = in.Gone
	}
	if in.Keyring != nil {
		own.told.Keyring = in.Keyring
	}
	if in.Certificate != nil {
		own.told.Certificate, own.request = in.Certificate, nil
	}
	own.marks++
	s := wire.Standing{Mark: strconv.Itoa(own.marks), StopAfter: own.stopAfter, Request: own.request}
	if own.told.Gone != nil {
		s.Gone = own.told.Gone.Version
	}
	if own.told.Keyring != nil {
		s.Keyring = own.told.Keyring.Version
	}
	for id, c := range a.containers {
		if c.spec.Spec.Labels[model.LabelReschedule] == "true" && !c.moved.arriving {
			s.Held = append(s.Held, wire.Held{ID: id, Generation: c.spec.Generation})
		}
	}
	slices.SortFunc(s.Held, func(x, y wire.Held) int { return slices.Compare([]byte(x.ID), []byte(y.ID)) })
	return s, nil
}

// FailRemove makes removals fail with err, or succeed again if it is nil.
func (a *Agent) FailRemove(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failRemove = err
}
