package dockerapi

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/pkg/stdcopy"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// made creates a container and returns its id.
func made(t testing.TB, s *httptest.Server, body string) string {
	t.Helper()
	status, answer := request(t, s, "POST", "/containers/create", body)
	var r struct{ Id string } //nolint:revive // Docker's name
	if err := json.Unmarshal([]byte(answer), &r); err != nil || status != 201 {
		t.Fatalf("%d %s: %v", status, answer, err)
	}
	return r.Id
}

// halfCloser is a connection whose sending side can be closed alone.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// hijack sends a request on a connection of its own and reads the head of the
// answer.
func hijack(t *testing.T, s *httptest.Server, path, body string, headers ...string) (halfCloser, *bufio.Reader, *http.Response) {
	t.Helper()
	var conn halfCloser
	raw, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn = raw.(*net.TCPConn)
	if s.TLS != nil {
		conn = tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own server
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: docker\r\nContent-Length: %d\r\n%s\r\n\r\n%s", path, len(body), strings.Join(append(headers, "Content-Type: application/json"), "\r\n"), body)
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, in, answer
}

// TestAttachKeepsOutputAfterInputEnds holds the half-close both ways, for
// clients that upgrade and for those that do not, old and new.
func TestAttachKeepsOutputAfterInputEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version, upgrade string
		tty, tls         bool
		status           int
		kind             string
	}{
		{"/v1.20", "Upgrade: tcp", false, false, 101, "application/vnd.docker.raw-stream"},
		{"/v1.41", "Upgrade: tcp", false, false, 101, "application/vnd.docker.raw-stream"},
		{"/v1.42", "Upgrade: tcp", false, false, 101, "application/vnd.docker.multiplexed-stream"},
		{"", "Upgrade: tcp", true, true, 101, "application/vnd.docker.raw-stream"},
		{"", "X-None: 1", false, true, 200, "application/vnd.docker.multiplexed-stream"},
	} {
		s := httptest.NewServer(newFake().handler())
		if c.tls {
			s = httptest.NewTLSServer(newFake().handler())
		}
		defer s.Close()
		id := made(t, s, fmt.Sprintf(`{"Image":"busybox","Cmd":["cat"],"OpenStdin":true,"Tty":%t}`, c.tty))
		conn, in, answer := hijack(t, s, c.version+"/containers/"+id+"/attach?stream=1&stdin=1&stdout=1&stderr=1", "", c.upgrade, "Connection: Upgrade")
		if answer.StatusCode != c.status || answer.Header.Get("Content-Type") != c.kind {
			t.Errorf("%+v: %d %s", c, answer.StatusCode, answer.Header.Get("Content-Type"))
		}
		if status, _ := request(t, s, "POST", c.version+"/containers/"+id+"/start", ""); status != 204 {
			t.Fatalf("start: %d", status)
		}
		want := strings.Repeat("in and out again\n", 5000)
		go func() {
			io.WriteString(conn, want)
			conn.CloseWrite()
		}()
		var got bytes.Buffer
		var err error
		if c.tty {
			_, err = io.Copy(&got, in)
		} else {
			_, err = stdcopy.StdCopy(&got, &got, in)
		}
		if err != nil || got.String() != want {
			t.Errorf("%+v: %d bytes came back, want %d: %v", c, got.Len(), len(want), err)
		}
	}
}

// TestBodyOfAnAttachIsNoInput sends what dockerode does: the parameters once
// more as a body, of a length that is told before or not.
func TestBodyOfAnAttachIsNoInput(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	for _, body := range []string{
		"Content-Length: 28\r\n\r\n{\"stream\":true,\"stdin\":true}",
		"Transfer-Encoding: chunked\r\n\r\nf\r\n{\"stream\":true,\r\n0\r\n\r\n",
	} {
		id := made(t, s, `{"Image":"busybox","Cmd":["cat"],"OpenStdin":true,"Tty":true}`)
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		head, rest, _ := strings.Cut(body, "\r\n\r\n")
		fmt.Fprintf(conn, "POST /containers/%s/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: docker\r\nUpgrade: tcp\r\nConnection: Upgrade\r\nContent-Type: application/json\r\n%s\r\n\r\n", id, head)
		for _, b := range []byte(rest) { // in many packets, if the kernel likes
			conn.Write([]byte{b})
		}
		in := bufio.NewReader(conn)
		if answer, err := http.ReadResponse(in, nil); err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%q: %v %v", head, answer, err)
		}
		request(t, s, "POST", "/containers/"+id+"/start", "")
		io.WriteString(conn, "input\n")
		conn.(halfCloser).CloseWrite()
		if got, err := io.ReadAll(in); err != nil || string(got) != "input\n" {
			t.Errorf("%q: cat read %q, error %v", head, got, err)
		}
	}
}

// TestExecOfOldClients speaks as Docker 1.8 does: its exec start is JSON with
// the type text/plain.
func TestExecOfOldClients(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	id := made(t, s, `{"Image":"busybox","Cmd":["sleep","60"]}`)
	request(t, s, "POST", "/v1.20/containers/"+id+"/start", "")
	status, body := request(t, s, "POST", "/v1.20/containers/"+id+"/exec",
		`{"User":"","Privileged":false,"Tty":false,"Container":"x","AttachStdin":false,"AttachStderr":true,"AttachStdout":true,"Detach":false,"Cmd":["echo","hi"]}`,
		"Content-Type", "text/plain")
	var exec struct{ Id string } //nolint:revive // Docker's name
	if err := json.Unmarshal([]byte(body), &exec); err != nil || status != 201 {
		t.Fatalf("exec: %d %s", status, body)
	}
	_, in, answer := hijack(t, s, "/v1.20/exec/"+exec.Id+"/start", `{"User":"","Container":"x","Tty":false,"Cmd":["echo","hi"]}`, "Upgrade: tcp", "Connection: Upgrade")
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, in); err != nil || out.String() != "hi\n" || answer.StatusCode != 101 {
		t.Errorf("%d %q %v", answer.StatusCode, out.String(), err)
	}
	status, body = request(t, s, "GET", "/v1.20/exec/"+exec.Id+"/json", "")
	if status != 200 || !strings.Contains(body, `"Running":false`) || !strings.Contains(body, `"ExitCode":0`) {
		t.Errorf("inspect: %d %s", status, body)
	}
	for path, want := range map[string]int{"/exec/none/start": 404, "/containers/none/attach": 404} {
		if status, _ := request(t, s, "POST", path, `{}`); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, body := request(t, s, "POST", "/containers/"+id+"/exec", `{"Cmd":[]}`); status != 400 || !strings.Contains(body, "No exec command specified") {
		t.Errorf("exec of nothing: %d %s", status, body)
	}
}

// TestRunOfDocker1Point8 walks through docker run --rm of the oldest client.
func TestRunOfDocker1Point8(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	id := made(t, s, `{"Image":"busybox","Cmd":["echo","old","times"]}`)
	_, in, _ := hijack(t, s, "/v1.20/containers/"+id+"/attach?stderr=1&stdout=1&stream=1", "", "Upgrade: tcp", "Connection: Upgrade")
	if status, _ := request(t, s, "POST", "/v1.20/containers/"+id+"/start", "", "Content-Type", "text/plain"); status != 204 {
		t.Fatalf("start: %d", status)
	}
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, in); err != nil || out.String() != "old times\n" {
		t.Errorf("output %q: %v", out.String(), err)
	}
	if status, body := request(t, s, "POST", "/v1.20/containers/"+id+"/wait", ""); status != 200 || body != `{"StatusCode":0}` {
		t.Errorf("wait: %d %s", status, body)
	}
	status, body := request(t, s, "GET", "/v1.20/containers/"+id+"/json", "")
	var inspected map[string]any
	if err := json.Unmarshal([]byte(body), &inspected); err != nil || status != 200 {
		t.Fatalf("inspect: %d %v", status, err)
	}
	settings, _ := inspected["NetworkSettings"].(map[string]any)
	if settings["IPAddress"] != "10.88.0.7" || settings["Networks"] != nil {
		t.Errorf("network settings %v", settings)
	}
	if status, _ := request(t, s, "DELETE", "/v1.20/containers/"+id+"?v=1", ""); status != 204 {
		t.Errorf("remove: %d", status)
	}
	if status, body := request(t, s, "POST", "/v1.20/containers/"+id+"/wait", ""); status != 404 || body != "No such container: "+id+"\n" {
		t.Errorf("wait for what is gone: %d %q", status, body)
	}
}

// TestWaitSendsHeadersAtOnce holds what docker run waits for before it starts
// the container.
func TestWaitSendsHeadersAtOnce(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	id := made(t, s, `{"Image":"busybox","Cmd":["exit","5"]}`)
	answer, err := s.Client().Post(s.URL+"/v1.30/containers/"+id+"/wait?condition=next-exit", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Fatalf("status %d", answer.StatusCode)
	}
	request(t, s, "POST", "/containers/"+id+"/start", "")
	body, err := io.ReadAll(answer.Body)
	if err != nil || string(body) != `{"StatusCode":5}`+"\n" {
		t.Errorf("%q %v", body, err)
	}
	if status, body := request(t, s, "POST", "/containers/"+id+"/wait?condition=sometime", ""); status != 400 || !strings.Contains(body, "invalid condition") {
		t.Errorf("%d %s", status, body)
	}
}

func TestLifecycleAnswers(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox","Cmd":["sleep","60"]}`)
	for _, step := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/start", `{"Binds":["/:/host"]}`, 400},
		{"POST", "/start?checkpoint=x", "", 501},
		{"POST", "/kill", "", 409},
		{"POST", "/stop", "", 304},
		{"POST", "/start", "", 204},
		{"POST", "/start", "", 304},
		{"POST", "/kill?signal=SIGNOTHING", "", 400},
		{"POST", "/stop?t=soon", "", 400},
		{"POST", "/stop?t=99999999999", "", 400},
		{"POST", "/resize?h=24&w=80", "", 200},
		{"POST", "/resize?h=24", "", 400},
		{"POST", "/resize?h=-1&w=80", "", 400},
		{"POST", "/resize?h=70000&w=80", "", 400},
		{"POST", "/rename?name=", "", 400},
		{"POST", "/rename?name=../x", "", 400},
		{"POST", "/rename?name=/good", "", 204},
		{"GET", "/logs", "", 400},
		{"GET", "/logs?stdout=1&since=yesterday", "", 400},
		{"POST", "/unpause", "", 409},
		{"POST", "/pause", "", 204},
		{"POST", "/pause", "", 409},
		{"POST", "/unpause", "", 204},
		{"DELETE", "?force=False", "", 409},
		{"DELETE", "?link=1", "", 409},
		{"DELETE", "/db?link=1", "", 204},
		{"DELETE", "%2Fdb?link=1", "", 204},
		{"DELETE", "/db", "", 404},
		{"DELETE", "?v=False&link=False&force=True", "", 204},
		{"DELETE", "", "", 404},
	} {
		if status, body := request(t, s, step.method, "/containers/"+id+step.path, step.body); status != step.status {
			t.Errorf("%s %s: %d %s, want %d", step.method, step.path, status, body, step.status)
		}
	}
	if len(f.sizes) != 1 || f.sizes[0].Rows != 24 || f.sizes[0].Columns != 80 {
		t.Errorf("sizes %v", f.sizes)
	}
}

func TestLogsAreFramedByVersion(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox"}`)
	for version, want := range map[string]string{"/v1.41": "application/vnd.docker.raw-stream", "": "application/vnd.docker.multiplexed-stream"} {
		answer, err := s.Client().Get(s.URL + version + "/containers/" + id + "/logs?stdout=1&stderr=1&tail=all&since=1700000000.000000005")
		if err != nil {
			t.Fatal(err)
		}
		var out, complaints bytes.Buffer
		_, err = stdcopy.StdCopy(&out, &complaints, answer.Body)
		answer.Body.Close()
		if err != nil || out.String() != "a line\n" || complaints.String() != "a complaint\n" {
			t.Errorf("%q %q %v", out.String(), complaints.String(), err)
		}
		if got := answer.Header.Get("Content-Type"); got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
	if f.logged.Tail != -1 || !f.logged.Since.Equal(time.Unix(1_700_000_000, 5)) {
		t.Errorf("asked for %+v", f.logged)
	}
}

func TestEventsStream(t *testing.T) {
	t.Parallel()
	f := newFake()
	at := time.Unix(1_700_000_000, 5)
	f.events = []model.Event{
		{Time: at, Type: "network", Action: "connect", ActorID: "n1"},
		{Time: at, Type: "container", Action: "exec_create: ls", ActorID: "c1", Attributes: map[string]string{"image": "busybox:latest", "name": "web", "tier": "front"}},
	}
	s := f.serve(t)
	get := func(path, accept string) (string, string) {
		r, _ := http.NewRequest("GET", s.URL+path+"since=1600000000&until=1750000000", nil)
		r.Header.Set("Accept", accept)
		// until is in the past for the fake, whose clock is the test's
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body), answer.Header.Get("Content-Type")
	}
	for _, c := range []struct{ path, accept, kind, body string }{
		{"/v1.20/events?", "", "application/json", `{"from":"busybox:latest","id":"c1","status":"exec_create: ls","time":1700000000,"timeNano":1700000000000000005}` + "\n"},
		{`/events?filters={"container":{"web":true},"event":["exec_create"],"label":["tier=front"],"image":["busybox"]}&`, "application/x-ndjson", "application/x-ndjson",
			`{"Type":"container","Action":"exec_create: ls","Actor":{"ID":"c1","Attributes":{"image":"busybox:latest","name":"web","tier":"front"}},"scope":"local","time":1700000000,"timeNano":1700000000000000005}` + "\n"},
		{`/events?filters={"type":["volume"]}&`, "application/json-seq", "application/json-seq", ""},
		{`/v1.52/events?filters={"type":["network"]}&`, "application/jsonl", "application/json",
			`{"Type":"network","Action":"connect","Actor":{"ID":"n1","Attributes":{}},"scope":"local","time":1700000000,"timeNano":1700000000000000005}` + "\n"},
	} {
		body, kind := get(c.path, c.accept)
		if body != c.body || kind != c.kind {
			t.Errorf("%s: %s\n%swant %s\n%s", c.path, kind, body, c.kind, c.body)
		}
	}
	for _, bad := range []string{"since=later", "since=5&until=4", `filters={"magic":["x"]}`, "filters=x", `filters={"type":5}`} {
		if status, body := request(t, s, "GET", "/events?"+strings.ReplaceAll(bad, `"`, "%22"), ""); status != 400 {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}
}

func TestEventsAreOfTheTypeThatIsLikedMost(t *testing.T) {
	t.Parallel()
	const lines, nd, seq, plain = "application/jsonl", "application/x-ndjson", "application/json-seq", "application/json"
	for _, c := range []struct {
		version compat.Version
		accept  string
		want    string
	}{
		{compat.Newest, "", plain}, {compat.Newest, plain, plain}, {compat.Newest, "*/*", lines}, {compat.Newest, "application/*", lines},
		{compat.V(52), "*/*", nd}, {compat.V(51), "*/*", plain}, {compat.Newest, seq + ", " + nd + ", " + lines, lines},
		{compat.V(52), seq + ", " + lines, seq}, {compat.Newest, lines + ";q=0.2, " + seq + "; q=0.9", seq},
		{compat.Newest, lines + ";q=0, */*", nd}, {compat.Newest, "text/html, ;;", plain}, {compat.Newest, lines + ";q=x", plain},
	} {
		if got := eventsType(c.version, c.accept); got != c.want {
			t.Errorf("%v %q: %s, want %s", c.version, c.accept, got, c.want)
		}
	}
}

func TestTerminalsHaveTheSizeThatWasAskedFor(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox","Cmd":["sleep","60"]}`)
	request(t, s, "POST", "/containers/"+id+"/start", "")
	size := wire.TerminalSize{Rows: 24, Columns: 80}
	for body, want := range map[string]*wire.TerminalSize{
		`{"Cmd":["sh"],"Tty":true,"ConsoleSize":[24,80]}`: &size, `{"Cmd":["sh"],"ConsoleSize":[24,80]}`: nil,
		`{"Cmd":["sh"],"Tty":true,"ConsoleSize":[0,0]}`: nil, `{"Cmd":["sh"],"Tty":true}`: nil,
	} {
		status, answer := request(t, s, "POST", "/containers/"+id+"/exec", body)
		var exec struct{ Id string } //nolint:revive // Docker's name
		if err := json.Unmarshal([]byte(answer), &exec); err != nil || status != 201 {
			t.Fatalf("%s: %d %s", body, status, answer)
		}
		e, err := f.exec(exec.Id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, e.Spec.ConsoleSize); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	if status, _ := request(t, s, "POST", "/containers/"+id+"/exec", `{"Cmd":["sh"],"Tty":true,"ConsoleSize":[24,65536]}`); status != 400 {
		t.Errorf("a terminal too wide: %d", status)
	}
	for body, want := range map[string]*wire.TerminalSize{
		`{"Image":"busybox","Tty":true,"HostConfig":{"ConsoleSize":[24,80]}}`: &size, `{"Image":"busybox","HostConfig":{"ConsoleSize":[24,80]}}`: nil,
	} {
		got, status, answer := create(t, "", body)
		if diff := cmp.Diff(want, got.Spec.ConsoleSize); diff != "" || status != 201 {
			t.Errorf("%s: %d %s %s", body, status, answer, diff)
		}
	}
	if got, _, _ := create(t, "/v1.41", `{"Image":"busybox","Tty":true,"HostConfig":{"ConsoleSize":[24,80]}}`); got.Spec.ConsoleSize != nil {
		t.Error("a client of 1.41, which did not know of sizes, set one")
	}
}
