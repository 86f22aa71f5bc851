package standing

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
)

// lease is for how long the node may run what may run elsewhere. Its owner's
// lock guards it.
type lease struct {
	clock     Clock
	stopAfter time.Duration
	began     time.Duration // by the clock; only if there is one
	there     bool
	marks     map[string]time.Duration // given and not come back → when
	next      int
	prefix    string // of this process's marks
}

// maxMarks bounds the answers that are remembered; the leader sends the latest.
const maxMarks = 64

// mark gives out a mark at this moment.
func (l *lease) mark() string {
	l.next++
	text := l.prefix + strconv.Itoa(l.next)
	if len(l.marks) >= maxMarks {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(l.marks)), func(a, b string) int {
			return int(l.marks[a] - l.marks[b])
		})
		delete(l.marks, oldest)
	}
	l.marks[text] = l.clock.Now()
	return text
}

// returned renews the lease by a mark that came back. One of another process,
// and one that renews nothing, is passed over.
func (l *lease) returned(mark string) bool {
	given, known := l.marks[mark]
	if !known || l.there && given <= l.began {
		return false
	}
	l.began, l.there = given, true
	maps.DeleteFunc(l.marks, func(_ string, at time.Duration) bool { return at <= given })
	return true
}

// left is how long the lease is good for; it is over at 0 and below.
func (l *lease) left() time.Duration {
	if !l.there {
		return 0
	}
	return l.began + l.stopAfter - l.clock.Now()
}

// kept is what survives a restart of the agent.
type kept struct {
	Boot      string        `json:"boot"`
	Began     time.Duration `json:"began"`
	StopAfter time.Duration `json:"stop_after"`
	// Stopped are containers that were stopped because the lease was over.
	Stopped []string `json:"stopped,omitempty"`
	Gone    string   `json:"gone,omitempty"` // version
	// GoneHeads and GoneNodes are machines whose certificates are refused.
	GoneHeads []string `json:"gone_heads,omitempty"`
	GoneNodes []string `json:"gone_nodes,omitempty"`
}

func (k kept) save(path string) error { return atomicfile.WriteJSON(path, k, 0o600) }
