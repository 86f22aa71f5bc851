package logship

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/spearheadcloud/spearhead/internal/logopt"
)

// gelfFormat writes GELF 1.1. Over TCP a message is ended by a zero byte; over
// UDP it may be compressed, and is cut into chunks if it is long.
type gelfFormat struct {
	host  json.RawMessage
	extra []byte // members that are the same in all messages, each with a comma before it
	udp   bool
	pack  packer // nil: as it is
	out   bytes.Buffer
}

// packer compresses what is written to it.
type packer interface {
	io.WriteCloser
	Reset(w io.Writer)
}

func newGELF(c *logopt.GELFConfig, of origin) (*gelfFormat, error) {
	f := &gelfFormat{udp: c.Network == "udp", host: quoted(of.subject.Hostname())}
	s := of.subject
	members := map[string]string{
		"_container_id": s.ContainerID, "_container_name": s.Name(), "_image_id": s.ContainerImageID, "_image_name": s.ContainerImageName,
		"_command": s.Command(), "_tag": of.tag, "_created": s.ContainerCreated.UTC().Format(time.RFC3339Nano),
	}
	for key, value := range of.attributes {
		members[additional(key)] = value
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		f.extra = fmt.Appendf(f.extra, ",%s:%s", quoted(key), quoted(members[key]))
	}
	if !f.udp {
		return f, nil
	}
	var err error
	switch c.Compression {
	case "gzip":
		f.pack, err = gzip.NewWriterLevel(&f.out, c.Level)
	case "zlib":
		f.pack, err = zlib.NewWriterLevel(&f.out, c.Level)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot compress: %w", err)
	}
	return f, nil
}

var notInField = regexp.MustCompile(`[^\w.\-]`)

// additional turns a name into that of an additional field, of which _id is
// none.
func additional(key string) string {
	key = notInField.ReplaceAllString(key, "_")
	if key == "" || key[0] != '_' {
		key = "_" + key
	}
	if key == "_id" {
		key = "_id_"
	}
	return key
}

func quoted(s string) json.RawMessage {
	b, _ := json.Marshal(s) // a string cannot fail
	return b
}

func (f *gelfFormat) add(b *batch, m *message) {
	if len(m.text) == 0 {
		return
	}
	level := severityInfo
	if m.stderr {
		level = severityError
	}
	seconds := strconv.FormatFloat(float64(m.at.UnixMilli())/1000, 'f', 3, 64)
	text := fmt.Appendf(nil, `{"version":"1.1","host":%s,"short_message":%s,"timestamp":%s,"level":%d%s}`, f.host, quoted(string(m.text)), seconds, level, f.extra)
	if !f.udp {
		b.bytes = append(append(b.bytes, text...), 0)
		b.end()
		return
	}
	if f.pack != nil {
		f.out.Reset()
		f.pack.Reset(&f.out)
		_, _ = f.pack.Write(text) // into memory, which cannot fail
		_ = f.pack.Close()
		text = f.out.Bytes()
	}
	chunk(b, text)
}

// Datagrams of this size pass an Ethernet in one piece.
const (
	datagramSize = 1420
	chunkHeader  = 12
	maxChunks    = 128
)

// chunk appends one datagram, or as many as are needed: each with two magic
// bytes, an id of the message, its number and how many there are.
func chunk(b *batch, text []byte) {
	if len(text) <= datagramSize {
		b.bytes = append(b.bytes, text...)
		b.end()
		return
	}
	const room = datagramSize - chunkHeader
	count := (len(text) + room - 1) / room
	if count > maxChunks {
		text, count = text[:maxChunks*room], maxChunks
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	for i := range count {
		part := text[i*room : min((i+1)*room, len(text))]
		b.bytes = append(b.bytes, 0x1e, 0x0f)
		b.bytes = append(b.bytes, id[:]...)
		b.bytes = append(b.bytes, byte(i), byte(count))
		b.bytes = append(b.bytes, part...)
		b.end()
	}
}

func (f *gelfFormat) seal(*batch) {}
