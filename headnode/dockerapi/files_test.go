package dockerapi

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func TestArchives(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox"}`)
	answer, err := s.Client().Get(s.URL + "/containers/" + id + "/archive?path=/there")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || string(body) != "a tar archive" || answer.Header.Get("Content-Type") != "application/x-tar" {
		t.Errorf("%q %v %v", body, err, answer.Header)
	}
	stat := `{"name":"there","size":5,"mode":493,"mtime":"2023-11-14T22:13:20Z","linkTarget":""}`
	if got, err := base64.StdEncoding.DecodeString(answer.Header.Get("X-Docker-Container-Path-Stat")); err != nil || string(got) != stat {
		t.Errorf("%s %v", got, err)
	}
	head, err := s.Client().Head(s.URL + "/containers/" + id + "/archive?path=/there")
	if err != nil || head.StatusCode != 200 || head.Header.Get("X-Docker-Container-Path-Stat") == "" {
		t.Errorf("%v %v", head, err)
	}
	status, answerText := request(t, s, "PUT", "/containers/"+id+"/archive?path=/there&noOverwriteDirNonDir=1&copyUIDGID=true", "what comes")
	want := wire.WriteArchiveRequest{Path: "/there", NoOverwriteDirNonDir: true, CopyUIDGID: true}
	if diff := cmp.Diff(want, f.unpacked); status != 200 || answerText != "" || diff != "" || string(f.written) != "what comes" {
		t.Errorf("%d %q %s %q", status, answerText, diff, f.written)
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/archive", 400}, {"HEAD", "/archive", 400}, {"PUT", "/archive", 400}, {"GET", "/archive?path=", 400},
		{"GET", "/archive?path=/missing", 404}, {"HEAD", "/archive?path=/missing", 404}, {"PUT", "/archive?path=/missing", 404},
		{"GET", "/export", 200}, {"GET", "/changes", 200}, {"POST", "/copy", 404},
	} {
		if status, body := request(t, s, c.method, "/containers/"+id+c.path, ""); status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
	for body, want := range map[string]int{`{"Resource":"there"}`: 200, `{"Resource":""}`: 400, `{"Resource":"/missing"}`: 404} {
		if status, answer := request(t, s, "POST", "/v1.20/containers/"+id+"/copy", body); status != want {
			t.Errorf("copy %s: %d %s", body, status, answer)
		}
	}
}

// TestArchiveIsRefusedBeforeItIsSent holds that a client which waits for leave
// hears what is wrong without sending, and gets leave when nothing is.
func TestArchiveIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	id := made(t, s, `{"Image":"busybox"}`)
	for path, want := range map[string]string{"/missing": "HTTP/1.1 404 Not Found", "/there": "HTTP/1.1 100 Continue"} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "PUT /containers/%s/archive?path=%s HTTP/1.1\r\nHost: docker\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n", id, path)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || strings.TrimSpace(line) != want {
			t.Errorf("%s: %q %v, want %q", path, line, err, want)
		}
	}
}

// TestRefusalIsHeardWhileTheBodyIsOnItsWay holds that a client which sends
// slowly, or waits, is answered at once, whoever refuses.
func TestRefusalIsHeardWhileTheBodyIsOnItsWay(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox"}`)
	begin := "Transfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n"
	short := "Content-Length: 1000\r\n\r\nbegin"
	for request, want := range map[string]string{
		"PUT /containers/" + id + "/archive?path=/missing": "HTTP/1.1 404 Not Found",
		"PUT /containers/" + id + "/archive":               "HTTP/1.1 400 Bad Request",
		"PUT /containers/nobody/archive?path=/":            "HTTP/1.1 404 Not Found",
		"POST /nothing":                                    "HTTP/1.1 404 Not Found",
		"POST /v9.9/containers/create":                     "HTTP/1.1 400 Bad Request",
	} {
		for _, body := range []string{begin, short} {
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: docker\r\n%s", request, body)
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || answer.Proto+" "+answer.Status != want {
				t.Fatalf("%s: %v %v, want %q", request, answer, err, want)
			}
			if text, err := io.ReadAll(answer.Body); err != nil || answer.ContentLength != int64(len(text)) {
				t.Errorf("%s: %d bytes said, %q %v", request, answer.ContentLength, text, err)
			}
		}
	}
}

// TestRefusalIsHeardByWhoSendsAllFirst has a client that looks for an answer
// only when it has sent its body, which is more than the kernel keeps.
func TestRefusalIsHeardByWhoSendsAllFirst(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	body := make([]byte, 32<<20)
	fmt.Fprintf(conn, "PUT /containers/nobody/archive?path=/ HTTP/1.1\r\nHost: docker\r\nContent-Length: %d\r\n\r\n", len(body))
	if _, err := conn.Write(body); err != nil {
		t.Errorf("sending the body: %v", err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "HTTP/1.1 404 Not Found" {
		t.Errorf("%q %v", line, err)
	}
}

// TestBrokenArchiveIsNoWholeOne holds that a client sees that an archive ended
// too early.
func TestBrokenArchiveIsNoWholeOne(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox"}`)
	for _, path := range []string{"/archive?path=/there", "/export"} {
		broken := io.MultiReader(strings.NewReader(strings.Repeat("the first half", 10_000)), iotest.ErrReader(errors.New("the node has gone")))
		f.mu.Lock()
		f.archive = broken
		f.mu.Unlock()
		answer, err := s.Client().Get(s.URL + "/containers/" + id + path)
		if err != nil {
			continue // it was noticed so early that there is no answer
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err == nil {
			t.Errorf("%s: %d bytes came as if they were all", path, len(body))
		}
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox"}`)
	if _, body := request(t, s, "GET", "/containers/"+id+"/changes", ""); body != "null" {
		t.Errorf("no changes: %s", body)
	}
	f.differences = []model.FileChange{{Path: "/etc", Kind: model.FileModified}, {Path: "/etc/new", Kind: model.FileAdded}, {Path: "/tmp/x", Kind: model.FileDeleted}}
	if _, body := request(t, s, "GET", "/containers/"+id+"/changes", ""); body != `[{"Kind":0,"Path":"/etc"},{"Kind":1,"Path":"/etc/new"},{"Kind":2,"Path":"/tmp/x"}]` {
		t.Errorf("%s", body)
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox"}`)
	status, body := request(t, s, "POST", "/commit?container="+id+"&repo=mine&comment=why&author=me&pause=0&changes=CMD+x&changes=ENV+A=b%0AUSER+u",
		`{"Env":["X=y"],"ExposedPorts":{"80/tcp":{}},"Volumes":{"/v":{}},"Hostname":"h","Healthcheck":{"Test":["NONE"]}}`)
	if status != 201 || body != `{"Id":"`+f.images[0].ID+`"}` {
		t.Errorf("%d %s", status, body)
	}
	want := CommitRequest{
		Name: "docker.io/library/mine:latest", Author: "me", Comment: "why", Changes: []string{"CMD x", "ENV A=b", "USER u"},
		Config: &model.ImageConfig{
			Env: []string{"X=y"}, ExposedPorts: []string{"80/tcp"}, Volumes: []string{"/v"}, Healthcheck: &model.Healthcheck{Test: []string{"NONE"}},
		},
	}
	if diff := cmp.Diff(want, f.committed); diff != "" {
		t.Error(diff)
	}
	for _, body := range []string{"", "null"} {
		if status, answer := request(t, s, "POST", "/commit?container="+id+"&repo=r.io:5000/a/b&tag=t", body); status != 201 ||
			f.committed.Config != nil || !f.committed.Pause || f.committed.Name != "r.io:5000/a/b:t" {
			t.Errorf("%q: %d %s %+v", body, status, answer, f.committed)
		}
	}
	for query, want := range map[string]int{
		"": 400, "container=none": 404, "container=" + id + "&repo=BAD": 400, "container=" + id + "&repo=a&tag=-": 400, "container=" + id + "&tag=t": 400,
		"container=" + id + "&repo=a@sha256:" + strings.Repeat("1", 64): 400,
	} {
		if status, answer := request(t, s, "POST", "/commit?"+query, ""); status != want {
			t.Errorf("%s: %d %s", query, status, answer)
		}
	}
}

// endless is an archive without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// BenchmarkArchive is how quickly the head's own part carries an archive out,
// and an attached client's output.
func BenchmarkArchive(b *testing.B) {
	f := newFake()
	s := httptest.NewTLSServer(f.handler())
	defer s.Close()
	answer, err := s.Client().Post(s.URL+"/containers/create", "application/json", strings.NewReader(`{"Image":"busybox"}`))
	if err != nil {
		b.Fatal(err)
	}
	answer.Body.Close()
	const size = 64 << 20
	b.SetBytes(size)
	for b.Loop() {
		f.archive = io.LimitReader(endless{}, size)
		answer, err := s.Client().Get(s.URL + "/containers/" + f.containers[0].ID + "/archive?path=/there")
		if err != nil || answer.StatusCode != http.StatusOK {
			b.Fatal(answer, err)
		}
		if n, err := io.CopyBuffer(io.Discard, answer.Body, make([]byte, 1<<20)); n != size || err != nil {
			b.Fatal(n, err)
		}
		answer.Body.Close()
	}
}
