package requestid

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestAnIdTravelsInTheHeader(t *testing.T) {
	t.Parallel()
	id := New()
	sent, err := http.NewRequestWithContext(With(t.Context(), id), http.MethodGet, "http://host/", nil)
	if err != nil {
		t.Fatal(err)
	}
	Send(sent.Context(), sent.Header)
	arrived := sent.Clone(context.Background())
	if got := Of(Received(arrived).Context()); got != id {
		t.Errorf("received %q, want %q", got, id)
	}
}

func TestWhatWouldDefaceALogIsNotTaken(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "a b", "a\nb", "a=b", "\x1b[2J", strings.Repeat("a", 65)} {
		r := &http.Request{Header: http.Header{Header: {id}}}
		if got := Of(Received(r).Context()); got != "" {
			t.Errorf("%q was taken as %q", id, got)
		}
	}
}

func TestTheLogNamesTheRequest(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	log := slog.New(Logging(slog.NewTextHandler(&text, nil))).With("node", "n1").WithGroup("g")
	log.InfoContext(With(t.Context(), "abc"), "one")
	log.Info("two")
	lines := strings.Split(text.String(), "\n")
	if !strings.Contains(lines[0], "request=abc") || !strings.Contains(lines[0], "node=n1") {
		t.Errorf("a line on behalf of a request: %s", lines[0])
	}
	if strings.Contains(lines[1], "request") {
		t.Errorf("a line on behalf of none: %s", lines[1])
	}
}
