package runtime

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

// timeFormat is RFC 3339 with all nine digits of the second, as Docker prints.
const timeFormat = "2006-01-02T15:04:05.000000000Z07:00"

var errPastUntil = errors.New("past the time asked for")

// A logWriter selects and writes entries.
type logWriter struct {
	w       *bufio.Writer
	framed  bool
	o       LogOptions
	details string // before the text of each line
	prefix  []byte // memory for one
}

// detailsText is how Docker shows attributes: sorted, escaped as in a URL.
func detailsText(attributes map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		pairs = append(pairs, url.QueryEscape(key)+"="+url.QueryEscape(attributes[key]))
	}
	return strings.Join(pairs, ",")
}

// copy writes all lines that there are now.
func (l *logWriter) copy(log *jsonlog.Reader) error {
	var e jsonlog.Entry
	for {
		err := log.Next(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = l.entry(&e)
		}
		if err != nil {
			return err
		}
	}
}

func (l *logWriter) entry(e *jsonlog.Entry) error {
	if !l.o.Since.IsZero() && e.Time().Before(l.o.Since) {
		return nil
	}
	if !l.o.Until.IsZero() && e.Time().After(l.o.Until) {
		return errPastUntil
	}
	if e.Stream == 1 && !l.o.Stdout || e.Stream == 2 && !l.o.Stderr {
		return nil
	}
	l.prefix = l.prefix[:0]
	if l.o.Timestamps {
		l.prefix = append(e.Time().AppendFormat(l.prefix, timeFormat), ' ')
	}
	l.prefix = append(l.prefix, l.details...)
	if l.framed {
		head := [8]byte{e.Stream}
		binary.BigEndian.PutUint32(head[4:], uint32(len(l.prefix)+len(e.Text)))
		l.w.Write(head[:]) // a bufio.Writer keeps its first error for the last call
	}
	l.w.Write(l.prefix)
	_, err := l.w.Write(e.Text)
	return err
}
