package agent

import (
	"io"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// announce adds to the journal what only is to be known: it changes nothing, and
// nobody waits for it. Attributes are names and values in turn.
func (a *Agent) announce(container, action string, attributes ...string) {
	e := model.JournalEntry{Time: time.Now(), ContainerID: container, Action: action}
	for i := 0; i+1 < len(attributes); i += 2 {
		if e.Attributes == nil {
			e.Attributes = make(map[string]string)
		}
		e.Attributes[attributes[i]] = attributes[i+1]
	}
	if err := a.records.Tell(a.running, e); err != nil {
		a.log.Warn("cannot tell of what happened", "op", action, "container", container, "err", err)
	}
}

// detachable is the terminal of a process that its user can leave. over is
// called, once, when its output has ended in an orderly way: because the
// process did, or because the user typed the keys that detach.
type detachable struct {
	wire.Stream
	over func()
	once sync.Once
}

func (s *detachable) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if err == io.EOF {
		s.once.Do(s.over)
	}
	return n, err
}
