package dockerapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

func TestPingIsOpenAndTellsTheVersion(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.refused = model.Errorf(model.KindUnauthenticated, "no certificate")
	s := f.serve(t)
	for _, path := range []string{"/_ping", "/v1.40/_ping"} {
		for _, method := range []string{"GET", "HEAD"} {
			r, _ := http.NewRequest(method, s.URL+path, nil)
			answer, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != 200 {
				t.Errorf("%s %s: status %d", method, path, answer.StatusCode)
			}
			for name, want := range map[string]string{"Api-Version": "1.56", "Ostype": "linux", "Docker-Experimental": "false", "Builder-Version": "2"} {
				if got := answer.Header.Get(name); got != want {
					t.Errorf("%s %s: %s is %q, want %q", method, path, name, got, want)
				}
			}
			if answer.Header.Get("X-Request-Id") == "" {
				t.Errorf("%s %s has no request id", method, path)
			}
		}
	}
	if status, body := request(t, s, "GET", "/ca.pem", ""); status != 200 || !strings.HasPrefix(body, "-----BEGIN") {
		t.Errorf("/ca.pem: %d %q", status, body)
	}
}

func TestNothingElseIsServedWithoutIdentity(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.refused = model.Errorf(model.KindUnauthenticated, "no certificate")
	s := f.serve(t)
	for _, r := range routes {
		if r.open {
			continue
		}
		method, path, _ := strings.Cut(string(r.name), " ")
		path = strings.NewReplacer("{id}", "x", "{name...}", "a/b", "{name}", "x", "{alias}", "x", "{checkpoint}", "x").Replace(path)
		if status, _ := request(t, s, method, path, ""); status != 401 {
			t.Errorf("%s %s: status %d, want 401", method, path, status)
		}
	}
	for _, path := range []string{"/nothing", "//info", "/v9.9/info"} {
		if status, _ := request(t, s, "GET", path, ""); status != 401 {
			t.Errorf("GET %s: status %d, want 401", path, status)
		}
	}
}

func TestVersionsOutOfRangeAreRefusedInDockersWords(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	for path, want := range map[string]string{
		"/v1.19/info":  "client version 1.19 is too old. Minimum supported API version is 1.20, please upgrade your client to a newer version",
		"/v1.1/info":   "client version 1.1 is too old. Minimum supported API version is 1.20, please upgrade your client to a newer version",
		"/v1.9/info":   "client version 1.9 is too old. Minimum supported API version is 1.20, please upgrade your client to a newer version",
		"/v9.99/info":  "client version 9.99 is too new. Maximum supported API version is 1.56",
		"/v1.57/info":  "client version 1.57 is too new. Maximum supported API version is 1.56",
		"/v1.100/info": "client version 1.100 is too new. Maximum supported API version is 1.56",
	} {
		status, body := request(t, s, "GET", path, "")
		var e struct{ Message string }
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatalf("%s: %v in %q", path, err, body)
		}
		if status != 400 || e.Message != want {
			t.Errorf("%s: %d %q, want 400 %q", path, status, e.Message, want)
		}
	}
}

func TestErrorsArePlainTextBefore124(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	for path, want := range map[string]string{
		"/containers/none/json":       `{"message":"No such container: none"}` + "\n",
		"/v1.24/containers/none/json": `{"message":"No such container: none"}` + "\n",
		"/v1.23/containers/none/json": "No such container: none\n",
		"/v1.20/containers/none/json": "No such container: none\n",
		"/nothing":                    `{"message":"page not found"}` + "\n",
		"/golden/info":                `{"message":"page not found"}` + "\n",
	} {
		if status, body := request(t, s, "GET", path, ""); status != 404 || body != want {
			t.Errorf("%s: %d %q, want 404 %q", path, status, body, want)
		}
	}
}

func TestPathsAreNeverRewritten(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	for path, want := range map[string]int{
		"/containers/..%2f..%2fjson":                 404,
		"/containers/..%2f..%2f/json":                404,
		"/containers/../json":                        404,
		"/containers/%2e%2e/json":                    404,
		"/containers//json":                          301,
		"/images/library/busybox/json":               200,
		"/images/docker.io%2Flibrary%2Fbusybox/json": 200,
	} {
		if status, _ := request(t, s, "GET", path, ""); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
	for _, method := range []string{"HEAD", "PUT"} {
		if status, _ := request(t, s, method, "/info", ""); status != 404 {
			t.Errorf("%s /info: status %d, want 404", method, status)
		}
	}
	if status, _ := request(t, s, "OPTIONS", "/info", ""); status != 200 {
		t.Errorf("OPTIONS: status %d", status)
	}
	if status, _ := request(t, s, "GET", "/info", "", "Origin", "https://example.com"); status != 403 {
		t.Errorf("a web page's request: status %d, want 403", status)
	}
}

func TestEveryRouteOfDockerIsAnswered(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	status, body := request(t, s, "POST", "/v1.44/swarm/init", "{}")
	if status != 501 || body != `{"message":"joining swarms is not implemented by this server"}`+"\n" {
		t.Errorf("swarm: %d %s", status, body)
	}
	status, body = request(t, s, "GET", "/v1.44/services", "")
	if status != 503 || !strings.Contains(body, "This node is not a swarm manager. Use \\\"docker swarm init\\\"") {
		t.Errorf("services: %d %s", status, body)
	}
}

func TestKindsOfErrorsHaveTheirStatus(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	for kind, want := range map[model.Kind]int{
		model.KindInvalid: 400, model.KindUnauthenticated: 401, model.KindForbidden: 403, model.KindNotFound: 404,
		model.KindConflict: 409, model.KindTooLarge: 413, model.KindNotModified: 304, model.KindNotImplemented: 501,
		model.KindUnavailable: 503, model.KindExhausted: 503, model.KindInternal: 500,
	} {
		f.fail = model.Errorf(kind, "why")
		status, body := request(t, s, "POST", "/containers/x/start", "")
		if status != want {
			t.Errorf("%s: status %d, want %d", kind, status, want)
		}
		if kind == model.KindInternal && !strings.Contains(body, "(request ") {
			t.Errorf("an internal error does not name its request: %q", body)
		}
	}
}

type panicking struct{ Authenticator }

func (panicking) Authenticate(*http.Request) (model.Account, error) { panic("a defect") }

func TestPanicsAreAnswered(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(New(Config{Auth: panicking{}, Version: "0"}))
	defer s.Close()
	if status, body := request(t, s, "GET", "/info", ""); status != 500 || strings.Contains(body, "defect") {
		t.Errorf("%d %q", status, body)
	}
}

// TestRouteTableHasEveryPathOfTheNewestVersion compares with the paths that
// swagger.yaml of API 1.56 lists.
func TestRouteTableHasEveryPathOfTheNewestVersion(t *testing.T) {
	t.Parallel()
	paths := strings.Fields(`/containers/json /containers/create /containers/x/json /containers/x/top /containers/x/logs
		/containers/x/changes /containers/x/export /containers/x/stats /containers/x/resize /containers/x/start
		/containers/x/stop /containers/x/restart /containers/x/kill /containers/x/update /containers/x/rename
		/containers/x/pause /containers/x/unpause /containers/x/attach /containers/x/attach/ws /containers/x/wait
		/containers/x /containers/x/archive /containers/prune /images/json /build /build/prune /images/create /images/x/json
		/images/x/attestations /images/x/history /images/x/push /images/x/tag /images/x /images/search /images/prune
		/auth /info /version /_ping /commit /events /system/df /images/x/get /images/get /images/load
		/containers/x/exec /exec/x/start /exec/x/resize /exec/x/json /volumes /volumes/create /volumes/x /volumes/prune
		/networks /networks/x /networks/create /networks/x/connect /networks/x/disconnect /networks/prune
		/plugins /plugins/privileges /plugins/pull /plugins/x/json /plugins/x /plugins/x/enable /plugins/x/disable
		/plugins/x/upgrade /plugins/create /plugins/x/push /plugins/x/set /nodes /nodes/x /nodes/x/update /swarm
		/swarm/init /swarm/join /swarm/leave /swarm/update /swarm/unlockkey /swarm/unlock /services /services/create
		/services/x /services/x/update /services/x/logs /tasks /tasks/x /tasks/x/logs /secrets /secrets/create /secrets/x
		/secrets/x/update /configs /configs/create /configs/x /configs/x/update /distribution/x/json /session`)
	table := newRouter(routes)
	for _, path := range paths {
		if !slices.ContainsFunc([]string{"GET", "POST", "DELETE", "PUT", "HEAD"}, func(method string) bool {
			_, ok := table.find(method, path)
			return ok
		}) {
			t.Errorf("no route for %s", path)
		}
	}
}
