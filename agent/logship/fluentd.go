package logship

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/spearheadcloud/spearhead/internal/logopt"
)

// fluentdFormat writes the forward protocol (version 1, mode Forward): a batch
// is an array of the tag, the events and, if it is to be acknowledged, options.
type fluentdFormat struct {
	tag       string
	same      []byte // members of the records that are the same in all
	sameCount uint32
	subSecond bool
	ack       bool
}

func newFluentd(c *logopt.FluentdConfig, of origin) *fluentdFormat {
	f := &fluentdFormat{tag: of.tag, subSecond: c.SubSecond, ack: c.RequestAck}
	members := map[string]string{"container_id": of.subject.ContainerID, "container_name": of.subject.ContainerName}
	maps.Copy(members, of.attributes)
	for _, name := range []string{"source", "log", "partial_message", "partial_id", "partial_ordinal", "partial_last"} {
		delete(members, name) // the message's own
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		f.same = appendMember(f.same, name, members[name])
		f.sameCount++
	}
	return f
}

func appendMember(b []byte, name, value string) []byte {
	return msgp.AppendString(msgp.AppendString(b, name), value)
}

func (f *fluentdFormat) add(b *batch, m *message) {
	b.bytes = msgp.AppendArrayHeader(b.bytes, 2)
	b.bytes = f.appendTime(b.bytes, m.at)
	count := f.sameCount + 2
	if m.piece != nil {
		count += 4
	}
	b.bytes = append(msgp.AppendMapHeader(b.bytes, count), f.same...)
	source := "stdout"
	if m.stderr {
		source = "stderr"
	}
	b.bytes = appendMember(b.bytes, "source", source)
	b.bytes = appendMember(b.bytes, "log", string(m.text))
	if p := m.piece; p != nil {
		b.bytes = appendMember(b.bytes, "partial_message", "true")
		b.bytes = appendMember(b.bytes, "partial_id", p.id)
		b.bytes = appendMember(b.bytes, "partial_ordinal", strconv.Itoa(p.ordinal))
		b.bytes = appendMember(b.bytes, "partial_last", strconv.FormatBool(p.last))
	}
	b.end()
}

// appendTime writes whole seconds, or an EventTime: extension type 0 with
// seconds and nanoseconds.
func (f *fluentdFormat) appendTime(b []byte, at time.Time) []byte {
	if !f.subSecond {
		return msgp.AppendInt64(b, at.Unix())
	}
	b = append(b, 0xd7, 0) // an extension of 8 bytes, type 0
	b = binary.BigEndian.AppendUint32(b, uint32(at.Unix()))
	return binary.BigEndian.AppendUint32(b, uint32(at.Nanosecond()))
}

func (f *fluentdFormat) seal(b *batch) {
	parts := uint32(2)
	if f.ack {
		parts = 3
	}
	head := msgp.AppendArrayHeader(nil, parts)
	head = msgp.AppendString(head, f.tag)
	head = msgp.AppendArrayHeader(head, uint32(len(b.ends)))
	b.bytes = slices.Insert(b.bytes, 0, head...)
	if f.ack {
		id := make([]byte, 16)
		_, _ = rand.Read(id) // never fails
		b.ack = base64.StdEncoding.EncodeToString(id)
		b.bytes = appendMember(msgp.AppendMapHeader(b.bytes, 1), "chunk", b.ack)
	}
	b.ends = append(b.ends[:0], len(b.bytes))
}
