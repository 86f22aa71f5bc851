package apicall_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/apicall"
)

var (
	errUnreached = errors.New("nobody answers")
	errRefused   = errors.New("refused")
)

// head echoes what it is asked by POST, and refuses everything else.
func head(t *testing.T) *apicall.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, `"`+r.URL.Path+`"`)
			return
		}
		io.Copy(w, r.Body)
	}))
	t.Cleanup(s.Close)
	return &apicall.Client{
		Base: s.URL, HTTP: s.Client(),
		Unreached: func(error) error { return errUnreached },
		Refused: func(status int, body *json.Decoder) error {
			var path string
			if err := body.Decode(&path); err != nil || status != http.StatusConflict || path != "/thing" {
				t.Errorf("refused: %d %q %v", status, path, err)
			}
			return errRefused
		},
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	c := head(t)
	if got, err := apicall.Ask[map[string]int](t.Context(), c, http.MethodPost, "/thing", map[string]int{"a": 1}); err != nil || got["a"] != 1 {
		t.Errorf("asked: %v %v", got, err)
	}
	if err := c.Call(t.Context(), http.MethodPost, "/thing", "unread", nil); err != nil {
		t.Errorf("an answer that nobody wants: %v", err)
	}
	var number int
	if err := c.Call(t.Context(), http.MethodPost, "/thing", "text", &number); err == nil {
		t.Error("an answer of another type was understood")
	}
	if err := c.Call(t.Context(), http.MethodPost, "/thing", func() {}, nil); err == nil {
		t.Error("what cannot be encoded was sent")
	}
	if err := c.Call(t.Context(), http.MethodGet, "/thing", nil, nil); !errors.Is(err, errRefused) {
		t.Errorf("refused: %v", err)
	}
	resp, err := c.Send(t.Context(), http.MethodPost, "/thing", strings.NewReader("not JSON"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "not JSON" {
		t.Errorf("sent %q: %v", text, err)
	}
	c.Base = "http://127.0.0.1:0"
	if err := c.Call(t.Context(), http.MethodGet, "/thing", nil, nil); !errors.Is(err, errUnreached) {
		t.Errorf("unreached: %v", err)
	}
}
