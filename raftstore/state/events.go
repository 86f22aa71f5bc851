package state

import (
	"maps"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// Types of the objects that events are about.
const (
	typeContainer = "container"
	typeImage     = "image"
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

// writeEvents writes the recorded events, drops the oldest of more than
// maxEvents and returns how many are kept of these and the have before.
func (t *transaction) writeEvents(have int) (int, error) {
	if len(t.events) > maxEvents {
		t.events = t.events[len(t.events)-maxEvents:]
	}
	for i := range t.events {
		if err := t.insert(tableEvents, &t.events[i]); err != nil {
			return 0, err
		}
	}
	total := have + len(t.events)
	if total <= maxEvents {
		return total, nil
	}
	it, err := t.txn.Get(tableEvents, indexID)
	if err != nil {
		return 0, err
	}
	var old []any
	for len(old) < total-maxEvents {
		old = append(old, it.Next())
	}
	for _, e := range old {
		if err := t.delete(tableEvents, e); err != nil {
			return 0, err
		}
	}
	return maxEvents, nil
}

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

func imageAttributes(i *model.Image, ref string) map[string]string {
	a := make(map[string]string, len(i.Config.Labels)+1)
	maps.Copy(a, i.Config.Labels)
	a["name"] = ref
	return a
}
