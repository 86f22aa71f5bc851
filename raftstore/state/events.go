package state

import (
	"maps"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// Types of the objects that events are about.
const (
	typeContainer = "container"
	typeImage     = "image"
	typeVolume    = "volume"
	typeNetwork   = "network"
)

// record adds an event to those of this entry.
func (t *transaction) record(e model.Event) {
	e.Index, e.Order = t.index, t.order
	t.order++
	t.events = append(t.events, e)
	t.touch(e.AccountID)
}

// recordOf adds an event about a container.
func (t *transaction) recordOf(c *model.Container, action string, at time.Time, more map[string]string) {
	t.record(model.Event{
		Time: at, AccountID: c.AccountID, Type: typeContainer, Action: action, ActorID: c.ID,
		Attributes: containerAttributes(c, more),
	})
}

func (t *transaction) recordEvent(cmd command.RecordEvent) error {
	e := cmd.Event
	if _, err := t.account(e.AccountID); err != nil {
		return err
	}
	if e.Type == "" || e.Action == "" {
		return model.Errorf(model.KindInvalid, "an event has no type or no action")
	}
	t.record(e)
	return nil
}

// writeEvents writes the recorded events and drops the oldest until what is
// kept is within maxEvents and maxEventBytes; m counts it.
func (t *transaction) writeEvents(m *meta) error {
	for i := range t.events {
		e := &t.events[i]
		if err := t.insert(tableEvents, e); err != nil {
			return err
		}
		m.Events, m.EventBytes = m.Events+1, m.EventBytes+eventSize(e)
	}
	if m.Events <= maxEvents && m.EventBytes <= maxEventBytes {
		return nil
	}
	it, err := t.txn.Get(tableEvents, indexID)
	if err != nil {
		return err
	}
	var old []*model.Event
	for m.Events > maxEvents || m.EventBytes > maxEventBytes {
		e := it.Next().(*model.Event)
		m.Events, m.EventBytes = m.Events-1, m.EventBytes-eventSize(e)
		old = append(old, e)
	}
	for _, e := range old {
		if err := t.delete(tableEvents, e); err != nil {
			return err
		}
	}
	return nil
}

// eventSize is about what an event takes in a snapshot. Labels are part of it,
// and those are as long as an account makes them.
func eventSize(e *model.Event) int {
	size := eventFrame
	for k, v := range e.Attributes {
		size += len(k) + len(v)
	}
	return size
}

// eventFrame is for what each event has besides attributes.
const eventFrame = 256

// containerAttributes are an event's as Docker has them: the labels of the
// container, its image and name, and what the event itself adds.
func containerAttributes(c *model.Container, more map[string]string) map[string]string {
	a := make(map[string]string, len(c.Spec.Labels)+len(more)+2)
	maps.Copy(a, c.Spec.Labels)
	a["image"] = c.Spec.Image
	a["name"] = c.Name
	maps.Copy(a, more)
	return a
}

// imageAttributes are the labels of an image and the name that an event is
// about, in the form that Docker's has there.
func imageAttributes(i *model.Image, name string) map[string]string {
	a := make(map[string]string, len(i.Config.Labels)+1)
	maps.Copy(a, i.Config.Labels)
	a["name"] = name
	return a
}

// familiar is a normalized reference as Docker's users write it.
func familiar(ref string) string {
	short, ok := strings.CutPrefix(ref, "docker.io/")
	if !ok {
		return ref
	}
	return strings.TrimPrefix(short, "library/")
}

// withoutTag is a familiar reference without tag and digest.
func withoutTag(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		return ref[:i]
	}
	return ref
}
