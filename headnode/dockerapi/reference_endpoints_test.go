package dockerapi

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
)

var (
	pathLine   = regexp.MustCompile(`^  "?(/[^":]*)"?:`)
	methodLine = regexp.MustCompile(`^    (get|head|post|put|delete):`)
)

// apiEndpoints reads the endpoints of the newest version from the description
// that comes with the API's module.
func apiEndpoints(t *testing.T) []string {
	t.Helper()
	folder, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/moby/moby/api").Output()
	if err != nil {
		t.Skipf("the description of the API cannot be found without the go command: %v", err)
	}
	file, err := os.Open(filepath.Join(strings.TrimSpace(string(folder)), "swagger.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []string
	path, inPaths := "", false
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if m := pathLine.FindStringSubmatch(lines.Text()); inPaths && m != nil {
			path = m[1]
		} else if m := methodLine.FindStringSubmatch(lines.Text()); inPaths && m != nil {
			all = append(all, strings.ToUpper(m[1])+" "+path)
		}
		inPaths = inPaths || lines.Text() == "paths:"
	}
	if len(all) < 100 {
		t.Fatalf("the description of the API has only %d endpoints", len(all))
	}
	return all
}

// TestRouteTableHasEveryEndpoint compares the table with the description.
func TestRouteTableHasEveryEndpoint(t *testing.T) {
	t.Parallel()
	table := newRouter(routes)
	for _, endpoint := range apiEndpoints(t) {
		method, path, _ := strings.Cut(endpoint, " ")
		if _, ok := table.find(method, fillPath(path)); !ok {
			t.Errorf("no route for %s", endpoint)
		}
	}
}

// endpointLines is the table of endpoints: those of the newest version, and
// those that it has no more or that are this server's own.
func endpointLines(t *testing.T) []string {
	t.Helper()
	described := apiEndpoints(t)
	served := map[string]bool{}
	for _, endpoint := range described {
		served[fillPath(endpoint)] = true
	}
	all := slices.Clone(described)
	for _, r := range routes {
		if name := strings.ReplaceAll(string(r.name), "...}", "}"); !served[fillPath(name)] {
			served[fillPath(name)] = true
			all = append(all, name)
		}
	}
	noted := map[string]bool{}
	var lines []string
	for _, endpoint := range all {
		noted[endpoint] = true
		text := endpointHistory(t, endpoint)
		if note := endpointNotes[endpoint]; note != "" {
			text += ": " + note
		}
		lines = append(lines, fmt.Sprintf("| `%s` | %s |", endpoint, text))
	}
	for endpoint := range endpointNotes {
		if !noted[endpoint] {
			t.Errorf("the note on %q is about no endpoint", endpoint)
		}
	}
	return lines
}

// endpointHistory tells what becomes of a request at each version, newest first.
func endpointHistory(t *testing.T, endpoint string) string {
	t.Helper()
	now := tryEndpoint(t, compat.Newest, endpoint)
	if strings.HasPrefix(now, "unknown") {
		t.Errorf("%s: %s: endpointSamples should have a request that can succeed", endpoint, now)
	}
	text := now
	for _, e := range slices.Backward(edgesOf(func(v compat.Version) string { return tryEndpoint(t, v, endpoint) })) {
		text += fmt.Sprintf("; before %s: %s", e.version, e.before)
	}
	return text
}

// tryEndpoint makes a plain request as a client of version v.
func tryEndpoint(t *testing.T, v compat.Version, endpoint string) string {
	t.Helper()
	method, path, _ := strings.Cut(endpoint, " ")
	s := endpointSamples[endpoint]
	if s.on != "" {
		path = strings.ReplaceAll(path, "{id}", s.on)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, "/v"+v.String()+fillPath(path)+"?"+s.query, strings.NewReader(s.body))
	if s.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range s.header {
		r.Header.Set(name, value)
	}
	w := &joinable{ResponseRecorder: httptest.NewRecorder()}
	newGoldenHandler(t).ServeHTTP(w, r)
	if w.joined {
		return "done"
	}
	text := w.Body.String()
	switch {
	case w.Code < 300, w.Code == http.StatusNotModified:
		return "done"
	case w.Code == http.StatusNotImplemented:
		return "501"
	case w.Code == http.StatusForbidden:
		return "403"
	case w.Code == http.StatusServiceUnavailable && (strings.Contains(text, "This node is not") || strings.Contains(text, "swarm is unavailable")):
		return "answers as an engine that is in no swarm"
	case w.Code == http.StatusNotFound && strings.Contains(text, "page not found"):
		return "not there"
	case w.Code == http.StatusNotFound:
		return "answers that there is none"
	case w.Code == http.StatusBadRequest && strings.Contains(text, "requires"):
		return "400"
	}
	return fmt.Sprintf("unknown: %d %s", w.Code, strings.TrimSpace(text))
}

// joinable is an answer whose connection can be taken over; its client goes
// away at once.
type joinable struct {
	*httptest.ResponseRecorder
	joined bool
}

func (j *joinable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	j.joined = true
	server, client := net.Pipe()
	client.Close()
	return server, bufio.NewReadWriter(bufio.NewReader(server), bufio.NewWriter(server)), nil
}

// fillPath puts names of the golden data center in the place of variables.
func fillPath(path string) string {
	id := "web"
	for prefix, of := range map[string]string{"/exec/": goldenExec, "/networks/": "external"} {
		if strings.Contains(path, prefix) {
			id = of
		}
	}
	name := "busybox"
	switch {
	case strings.Contains(path, "/volumes/"):
		name = "data"
	case strings.Contains(path, "/plugins/"):
		name = "x"
	}
	return strings.NewReplacer("{id}", id, "{name}", name, "{alias}", "db", "{checkpoint}", "x").Replace(path)
}

// endpointSample is what a request needs besides its path.
type endpointSample struct {
	query, body string
	header      map[string]string
	on          string // the container, if it is not the one that runs
}

var endpointSamples = map[string]endpointSample{
	"POST /containers/{id}/unpause":   {on: "nap"},
	"POST /containers/{id}/wait":      {on: "job"},
	"GET /containers/{id}/attach/ws":  {header: map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MTIzNDU2Nzg5MDEyMzQ1Ng=="}},
	"POST /networks/create":           {body: `{"Name":"mine"}`},
	"POST /networks/{id}/connect":     {on: "external", body: `{"Container":"web"}`},
	"POST /networks/{id}/disconnect":  {on: "external", body: `{"Container":"web"}`},
	"POST /containers/create":         {body: `{"Image":"busybox"}`},
	"POST /containers/{id}/update":    {body: `{"Memory":67108864}`},
	"POST /containers/{id}/rename":    {query: "name=other"},
	"POST /containers/{id}/resize":    {query: "h=24&w=80"},
	"POST /containers/{id}/exec":      {body: `{"Cmd":["true"]}`},
	"POST /containers/{id}/copy":      {body: `{"Resource":"/there"}`},
	"POST /exec/{id}/start":           {body: `{"Detach":true}`},
	"POST /exec/{id}/resize":          {query: "h=24&w=80"},
	"GET /containers/{id}/logs":       {query: "stdout=1"},
	"GET /containers/{id}/stats":      {query: "stream=0&one-shot=1"},
	"GET /containers/{id}/archive":    {query: "path=/there"},
	"HEAD /containers/{id}/archive":   {query: "path=/there"},
	"PUT /containers/{id}/archive":    {query: "path=/there"},
	"DELETE /containers/{id}/{alias}": {query: "link=1"},
	"DELETE /containers/{id}":         {query: "force=1"},
	"POST /commit":                    {query: "container=web"},
	"POST /auth":                      {body: `{"username":"jill","password":"right"}`},
	"GET /events":                     {query: "since=1&until=2"},
	"POST /images/create":             {query: "fromImage=busybox&tag=latest"},
	"POST /images/{name}/tag":         {query: "repo=other"},
	"GET /images/search":              {query: "term=busybox"},
	"GET /images/get":                 {query: "names=busybox"},
	"POST /build/cancel":              {query: "id=x"},
	"POST /volumes/create":            {body: `{"Name":"other"}`},
	"POST /session":                   {header: upgradeToH2C},
	"POST /grpc":                      {header: upgradeToH2C},
}

var upgradeToH2C = map[string]string{"Connection": "Upgrade", "Upgrade": "h2c", "X-Docker-Expose-Session-Uuid": "x"}

// endpointNotes say what a reader of the table should know besides.
var endpointNotes = map[string]string{
	"GET /ca.pem":                     "Spearhead's own: the certificate to verify the endpoint with; served to everybody",
	"POST /containers/{id}/copy":      "gone since 1.24, where archive took its place",
	"DELETE /containers/{id}/{alias}": "removes a link, with link=1",
	"DELETE /networks/{id}":           "the networks that there are belong to the data center",
	"POST /images/create":             "pulls, or imports a body (`fromSrc=-`); other sources are 501",
	"GET /_ping":                      "served to everybody",
	"HEAD /_ping":                     "served to everybody",
}
