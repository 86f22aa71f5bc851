package dockerapi

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

func TestAHeadThatMayBeBehindTellsNothing(t *testing.T) {
	t.Parallel()
	f, behind := newFake(), true
	s := httptest.NewServer(New(Config{
		Auth: f, Containers: f, Execs: f, Images: fakeImages{f}, System: f, Version: "0.1.0",
		Fresh: func(context.Context) error {
			if behind {
				return model.Errorf(model.KindUnavailable, "too few heads can be reached")
			}
			return nil
		},
	}))
	defer s.Close()
	for path, want := range map[string]int{
		"/_ping": 200, "/ca.pem": 200, "/version": 200,
		"/containers/json": 503, "/v1.44/info": 503, "/containers/x/json": 503, "/events": 503, "/nothing": 503,
	} {
		status, body := request(t, s, "GET", path, "")
		if status != want || status == 503 && !strings.Contains(body, "too few heads") {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	behind = false
	if status, body := request(t, s, "GET", "/containers/json", ""); status != 200 {
		t.Errorf("a head that knows all: %d %s", status, body)
	}
}
