package logship

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"
)

// forward reads the forward protocol and answers chunks as answer says: with
// an acknowledgement, or by ending the connection.
func forward(t testing.TB, answer func() bool) func(net.Conn, func(string)) {
	return func(c net.Conn, got func(string)) {
		for r := msgp.NewReader(c); ; {
			parts, err := r.ReadArrayHeader()
			if err != nil {
				return
			}
			tag, err := r.ReadString()
			if err != nil {
				return
			}
			events, err := r.ReadArrayHeader()
			if err != nil {
				t.Errorf("events: %v", err)
				return
			}
			var lines []string
			for range events {
				if n, err := r.ReadArrayHeader(); err != nil || n != 2 {
					t.Errorf("an event of %d parts: %v", n, err)
					return
				}
				at, err := readTime(r)
				record := map[string]any{}
				if err == nil {
					err = r.ReadMapStrIntf(record)
				}
				if err != nil {
					t.Errorf("event: %v", err)
					return
				}
				record["tag"], record["time"] = tag, at
				text, _ := json.Marshal(record)
				lines = append(lines, string(text))
			}
			if parts == 3 {
				options := map[string]any{}
				if err := r.ReadMapStrIntf(options); err != nil {
					t.Errorf("options: %v", err)
					return
				}
				if !answer() {
					return
				}
				c.Write(msgp.AppendMapStrStr(nil, map[string]string{"ack": options["chunk"].(string)}))
			}
			for _, line := range lines {
				got(line)
			}
		}
	}
}

func readTime(r *msgp.Reader) (string, error) {
	kind, err := r.NextType()
	if err != nil {
		return "", err
	}
	if kind != msgp.ExtensionType {
		n, err := r.ReadInt64()
		return fmt.Sprint(n), err
	}
	e := msgp.RawExtension{}
	if err := r.ReadExtension(&e); err != nil || len(e.Data) != 8 {
		return "", fmt.Errorf("extension of %d bytes: %w", len(e.Data), err)
	}
	return fmt.Sprintf("%d.%09d", binary.BigEndian.Uint32(e.Data), binary.BigEndian.Uint32(e.Data[4:])), nil
}

func TestFluentd(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	server := catch(t, netns, "127.0.0.1:24224", forward(t, func() bool { return true }))
	l := newLogger(t)
	c := l.container(netns, "fluentd", map[string]string{"fluentd-address": "127.0.0.1", "tag": "docker.{{.Name}}", "env": "A", "fluentd-sub-second-precision": "true"})
	s := newShipper(t)
	long := strings.Repeat("x", maxPiece)
	l.write(1, "whole\n", long)
	l.write(2, "between\n")
	l.write(1, long, "end\n")
	begin(t, s, c)
	end(s, c)
	l.write(1, "no newline")
	begin(t, s, c)
	end(s, c)
	base := map[string]any{"container_id": c.ID, "container_name": "/web", "A": "1", "tag": "docker.web"}
	var ids []string
	var got []map[string]any
	for _, line := range server.await(t, count(6)) {
		m := decode(t, line)
		if id, ok := m["partial_id"].(string); ok {
			ids = append(ids, id)
			delete(m, "partial_id")
		}
		got = append(got, m)
	}
	want := []map[string]any{
		{"source": "stdout", "log": "whole", "time": "1767323045.678901234"},
		{"source": "stdout", "log": long, "time": "1767323045.679901234", "partial_message": "true", "partial_ordinal": "1", "partial_last": "false"},
		{"source": "stderr", "log": "between", "time": "1767323045.680901234"},
		{"source": "stdout", "log": long, "time": "1767323045.681901234", "partial_message": "true", "partial_ordinal": "2", "partial_last": "false"},
		{"source": "stdout", "log": "end", "time": "1767323045.682901234", "partial_message": "true", "partial_ordinal": "3", "partial_last": "true"},
		{"source": "stdout", "log": "no newline", "time": "1767323045.683901234", "partial_message": "true", "partial_ordinal": "1", "partial_last": "false"},
	}
	for _, m := range want {
		for key, value := range base {
			m[key] = value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(ids) != 4 || ids[0] != ids[1] || ids[1] != ids[2] || ids[2] == ids[3] {
		t.Errorf("ids of texts: %v", ids)
	}
}

// A chunk that was not acknowledged is sent again, and one that was is not.
func TestFluentdAcknowledges(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	var chunks atomic.Int32
	server := catch(t, netns, "127.0.0.1:24224", forward(t, func() bool { return chunks.Add(1)%3 != 0 }))
	l := newLogger(t)
	c := l.container(netns, "fluentd", map[string]string{"fluentd-address": "tcp://localhost", "fluentd-request-ack": "true", "fluentd-retry-wait": "1ms", "fluentd-async-reconnect-interval": "100ms"})
	s := newShipper(t)
	begin(t, s, c)
	for i := range 20 {
		l.write(1, fmt.Sprintf("line %d\n", i))
		server.await(t, count(i+1))
	}
	for i, line := range server.all() {
		if log := decode(t, line)["log"]; log != fmt.Sprintf("line %d", i) {
			t.Errorf("line %d is %v", i, log)
		}
	}
}

// FuzzAck has a server answer anything: it must not be believed, or held.
func FuzzAck(f *testing.F) {
	f.Add([]byte("\x81\xa3ack\xa2id"))
	f.Add([]byte("\xdf\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			theirs.Write(answer)
			theirs.Close()
		}()
		l := &link{conn: ours, server: server{read: time.Minute}}
		if err := l.awaitAck("id"); err == nil && !bytes.Contains(answer, []byte("id")) {
			t.Errorf("%q is taken for an acknowledgement", answer)
		}
	})
}
