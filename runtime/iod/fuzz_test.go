package iod

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// FuzzSplitLines checks that pieces put together are what came in, however it
// was cut, and that each is a line of Docker's.
func FuzzSplitLines(f *testing.F) {
	f.Add([]byte("one\ntwo\n\nthree"), 3)
	f.Add(bytes.Repeat([]byte("x"), 3*maxLine), 1000)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		step = max(step%50_000, 1)
		var carry, got []byte
		emit := func(text []byte) error {
			if len(text) == 0 || len(text) > maxLine || text[len(text)-1] != '\n' && len(text) != maxLine || bytes.Count(text[:len(text)-1], []byte("\n")) > 0 {
				t.Errorf("piece of %d bytes", len(text))
			}
			got = append(got, text...)
			return nil
		}
		for rest := data; len(rest) > 0; {
			n := min(step, len(rest))
			if err := splitLines(&carry, rest[:n], emit, func() error { return nil }); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if !bytes.Equal(append(got, carry...), data) {
			t.Error("something was lost or made up")
		}
	})
}

// FuzzRequests sends whatever it is to every route; the supervisor must answer
// and no unit may be started.
func FuzzRequests(f *testing.F) {
	f.Add("PUT", "/units/a", []byte(`{"tty":true}`))
	f.Add("PUT", "/units/..%2fx", []byte(`{}`))
	f.Add("POST", "/units/a/start", []byte(`{"run":"x","command":["/bin/true"]}`))
	f.Add("POST", "/units/a/resize?rows=-1&cols=99999", []byte{})
	f.Add("DELETE", "/exits/a/b", []byte{})
	f.Add("POST", "/probes", []byte(`{"container":"a","limit":-1}`))
	dir := f.TempDir()
	s := &supervisor{
		cfg: Config{RunDir: dir, StateDir: dir, Logger: slog.New(slog.DiscardHandler)}, keeper: newKeeper(), reaper: &reaper{missed: make(chan struct{}, 1), known: map[int]int{}},
		units: map[string]*unit{}, changed: make(chan struct{}), chunks: sync.Pool{New: func() any { return &chunk{buf: make([]byte, chunkSize)} }},
	}
	s.ctx, s.cancel = f.Context(), func() {}
	handler := s.handler()
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		text := strings.ToLower(string(body))
		if strings.Contains(text, "command") && (strings.Contains(text, "bundle") || strings.Contains(text, "process")) {
			return // a valid start would run what it says
		}
		req, err := http.NewRequest(method, "http://iod/"+strings.TrimPrefix(target, "/"), bytes.NewReader(body))
		if err != nil || strings.HasPrefix(req.URL.Path, "/exits") && method == "GET" {
			return
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, req)
		if answer.Code >= 500 && !strings.Contains(target, "attach") {
			b, _ := io.ReadAll(answer.Body)
			t.Fatalf("%s %q: %d %s", method, target, answer.Code, b)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (a) b) S 0 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 77 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 9\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if st, err := parseStat(b); err == nil && st.state == 0 {
			t.Error("a process without a state")
		}
	})
}

func TestDetachKeys(t *testing.T) {
	t.Parallel()
	seq, err := ParseDetachKeys("ctrl-a,b")
	if err != nil {
		t.Fatal(err)
	}
	d := detacher{seq: seq}
	var passed []byte
	for _, typed := range []string{"x\x01", "y\x01\x01", "c\x01"} {
		pass, detached := d.filter([]byte(typed))
		if passed = append(passed, pass...); detached {
			t.Fatalf("detached by %q", typed)
		}
	}
	pass, detached := d.filter([]byte("bz"))
	if !detached || string(append(passed, pass...)) != "x\x01y\x01\x01c" {
		t.Fatalf("detached: %v, passed %q", detached, append(passed, pass...))
	}
	for _, bad := range []string{"ctrl-", "ctrl-1", "ab", ",", "ctrl-A"} {
		if _, err := ParseDetachKeys(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "..", "a/b", "-x", strings.Repeat("a", 129), "a\n"} {
		if err := CheckName(bad); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%q is accepted", bad)
		}
	}
}
