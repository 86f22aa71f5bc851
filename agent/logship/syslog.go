package logship

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/internal/logopt"
)

// Severities of RFC 5424 section 6.2.1.
const (
	severityError = 3
	severityInfo  = 6
)

// processID is that of the container's first process, as it sees it itself.
const processID = 1

// syslogFormat writes RFC 3164 or RFC 5424 messages in Docker's layout, where the
// tag is the name of the application. Over TCP a newline ends a message (RFC 6587
// section 3.4.2), or with TLS and RFC 5424 its length comes before it (RFC 5425).
type syslogFormat struct {
	facility int
	layout   string // as in logopt
	host     string
	tag      string
	data     string // STRUCTURED-DATA
	framing  framing
}

type framing int

const (
	datagram framing = iota
	newline
	counted
)

func newSyslog(c *logopt.SyslogConfig, of origin) *syslogFormat {
	f := &syslogFormat{facility: c.Facility, layout: c.Format, host: field(of.subject.Hostname(), 255), data: structuredData(of.attributes)}
	if f.framing = newline; c.Network == "udp" {
		f.framing = datagram
	} else if c.TLS && strings.HasPrefix(c.Format, "rfc5424") {
		f.framing = counted
	}
	f.tag = field(of.tag, 48) // the most for an APP-NAME
	return f
}

// dataID names our structured data. 32473 is the number that RFC 5612 sets
// aside for those who have none.
const dataID = "container@32473"

func structuredData(attributes map[string]string) string {
	if len(attributes) == 0 {
		return "-"
	}
	name := strings.NewReplacer("=", "_", "]", "_", `"`, "_")
	value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`, "\n", " ", "\r", " ", "\x00", " ")
	var b strings.Builder
	b.WriteString("[" + dataID)
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		fmt.Fprintf(&b, ` %s="%s"`, name.Replace(field(key, 32)), value.Replace(strings.ToValidUTF8(attributes[key], "\ufffd")))
	}
	b.WriteByte(']')
	return b.String()
}

func (f *syslogFormat) add(b *batch, m *message) {
	if len(m.text) == 0 {
		return
	}
	severity := severityInfo
	if m.stderr {
		severity = severityError
	}
	head := f.head(f.facility<<3|severity, m.at)
	if f.framing == counted {
		b.bytes = append(strconv.AppendInt(b.bytes, int64(len(head)+len(m.text)), 10), ' ')
	}
	b.bytes = append(b.bytes, head...)
	b.bytes = append(b.bytes, m.text...)
	if f.framing == newline {
		b.bytes = append(b.bytes, '\n')
	}
	b.end()
}

func (f *syslogFormat) head(priority int, at time.Time) []byte {
	at = at.UTC()
	switch f.layout {
	case "rfc3164":
		return fmt.Appendf(nil, "<%d>%s %s %s[%d]: ", priority, at.Format(time.Stamp), f.host, f.tag, processID)
	case "rfc5424":
		return f.head5424(priority, at.Format("2006-01-02T15:04:05Z07:00"))
	case "rfc5424micro":
		return f.head5424(priority, at.Format("2006-01-02T15:04:05.000000Z07:00"))
	}
	return fmt.Appendf(nil, "<%d>%s %s[%d]: ", priority, at.Format(time.Stamp), f.tag, processID)
}

func (f *syslogFormat) head5424(priority int, at string) []byte {
	return fmt.Appendf(nil, "<%d>1 %s %s %s %d %s %s ", priority, at, f.host, f.tag, processID, f.tag[:min(len(f.tag), 32)], f.data)
}

func (f *syslogFormat) seal(*batch) {}
