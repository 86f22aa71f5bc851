package logship

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/internal/logopt"
	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

// A message is what is sent of one line.
type message struct {
	text   []byte // without its newline
	stderr bool
	at     time.Time
	piece  *piece // nil: the text is whole
}

// piece says which part of a long text a message is.
type piece struct {
	id      string // the same for all pieces of the text
	ordinal int    // from 1
	last    bool
}

// A batch is messages as they are sent together.
type batch struct {
	bytes []byte
	ends  []int  // where each message ends
	ack   string // what the server will answer; "": nothing
}

func (b *batch) reset() { b.bytes, b.ends, b.ack = b.bytes[:0], b.ends[:0], "" }

func (b *batch) end() { b.ends = append(b.ends, len(b.bytes)) }

// A format writes messages as a driver's servers want them.
type format interface {
	add(b *batch, m *message)
	seal(b *batch) // is called when a batch is complete
}

// origin is what messages say of their container.
type origin struct {
	subject    *logopt.Subject
	tag        string
	attributes map[string]string
}

func newFormat(config *logopt.Config, of origin) (format, error) {
	switch {
	case config.Syslog != nil:
		return newSyslog(config.Syslog, of), nil
	case config.GELF != nil:
		return newGELF(config.GELF, of)
	default:
		return newFluentd(config.Fluentd, of), nil
	}
}

// maxPiece is where the log cuts a text.
const maxPiece = 16 << 10

// take moves the cursor over a line and returns its message.
func (c *cursor) take(id string, e *jsonlog.Entry, next int64) *message {
	m := &message{text: e.Text, stderr: e.Stream == 2, at: e.Time()}
	open := &c.Pieces[e.Stream]
	n := len(e.Text)
	whole := n > 0 && e.Text[n-1] == '\n'
	if whole {
		m.text = e.Text[:n-1]
	}
	if open.Count > 0 || !whole {
		if open.Count == 0 {
			open.First = c.Position
		}
		open.Count++
		hash := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d", id, e.Stream, open.First))
		m.piece = &piece{id: hex.EncodeToString(hash[:]), ordinal: open.Count, last: whole}
	}
	if whole || n < maxPiece { // the end of a run ends a text too
		*open = pieces{}
	}
	c.Position = next
	return m
}

// field makes a name or a value fit between spaces of a header.
func field(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}
