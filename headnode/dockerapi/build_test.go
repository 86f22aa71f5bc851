package dockerapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func buildWith(t *testing.T, s *httptest.Server, query, auths string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1.24/build?"+query, strings.NewReader("a context"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-tar")
	if auths != "" {
		r.Header.Set(registryConfigHeader, auths)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestEveryParameterOfABuildIsRead(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	q := url.Values{
		"t": {"one", "reg.example:5000/two:2", "one:latest"}, "dockerfile": {"./sub/../Dockerfile.x"}, "target": {"last"}, "platform": {"linux/amd64"},
		"nocache": {"1"}, "pull": {"1"}, "rm": {"1"}, "forcerm": {"0"}, "buildargs": {`{"A":"1","B":null}`}, "labels": {`{"l":"v"}`}, "cachefrom": {`["c"]`},
		"extrahosts": {"db:10.0.0.1"}, "networkmode": {"none"}, "shmsize": {"64"}, "ulimits": {`[{"Name":"nofile","Soft":1,"Hard":2}]`},
		"memory": {"0"}, "cpuperiod": {"0"}, "buildid": {"x"}, "session": {"not needed"},
	}
	auths := "eyJodHRwczovL2luZGV4LmRvY2tlci5pby92MS8iOnsidXNlcm5hbWUiOiJqb2UiLCJwYXNzd29yZCI6InAifX0="
	if code, body := buildWith(t, s, q.Encode(), auths); code != 200 || !strings.Contains(body, `"Successfully built bbbbbbbbbbbb\n"`) || !strings.Contains(body, `"Successfully tagged one:latest\n"`) {
		t.Fatalf("%d %s", code, body)
	}
	want := BuildRequest{
		ID: "x", Names: []string{"docker.io/library/one:latest", "reg.example:5000/two:2"}, Dockerfile: "Dockerfile.x", Target: "last", Platform: "linux/amd64",
		NoCache: true, Pull: true, Args: map[string]string{"A": "1"}, Labels: map[string]string{"l": "v"}, CacheFrom: []string{"c"}, ExtraHosts: []string{"db:10.0.0.1"},
		Network: "none", ShmSize: 64, Ulimits: []model.Ulimit{{Name: "nofile", Soft: 1, Hard: 2}},
		Auths: map[string]wire.RegistryAuth{"registry-1.docker.io": {Username: "joe", Password: "p"}},
	}
	if diff := cmp.Diff(want, f.build); diff != "" {
		t.Error(diff)
	}
	if string(f.written) != "a context" {
		t.Errorf("the context is %q", f.written)
	}
}

func TestBuildsThatCannotBeAreRefusedByName(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	for query, want := range map[string]struct {
		code int
		text string
	}{
		"squash=1": {501, "squash"}, "memory=1": {501, "memory"}, "cpusetcpus=0": {501, "cpusetcpus"}, "cgroupparent=x": {403, "cgroupparent"},
		"networkmode=host": {403, "host"}, "networkmode=container:x": {501, "container:x"}, "t=BAD": {400, "BAD"}, "buildargs=x": {400, "buildargs"},
		"dockerfile=../x": {400, "Forbidden path outside the build context"}, "dockerfile=/x": {400, "Forbidden path"}, "extrahosts=x": {400, "bad format for add-host"},
		"shmsize=-1": {400, "shmsize"}, "isolation=hyperv": {400, "isolation"}, `outputs=[{"Type":"tar"}]`: {400, "outputs"},
	} {
		if code, body := buildWith(t, s, query, ""); code != want.code || !strings.Contains(body, want.text) {
			t.Errorf("%s: %d %s", query, code, body)
		}
	}
}

func TestAFailedBuildTellsItsCode(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.buildFails = &BuildError{Code: 3, Text: "The command 'x' returned a non-zero code: 3"}
	code, body := buildWith(t, f.serve(t), "", "")
	if code != 200 || !strings.Contains(body, `"errorDetail":{"code":3,"message":"The command 'x' returned a non-zero code: 3"},"error":"The command`) {
		t.Errorf("%d %s", code, body)
	}
}

func TestAQuietBuildTellsTheIDAlone(t *testing.T) {
	t.Parallel()
	code, body := buildWith(t, newFake().serve(t), "q=1", "")
	if want := fmt.Sprintf("{\"stream\":\"%s\\n\"}\r\n", builtID); code != 200 || body != want {
		t.Errorf("%d %q", code, body)
	}
}

func TestConnectionsBecomeABuilders(t *testing.T) {
	t.Parallel()
	s := newFake().serve(t)
	for _, path := range []string{"/grpc", "/session"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nearly", path)
		r := bufio.NewReader(conn)
		answer, err := http.ReadResponse(r, nil)
		if err != nil || answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Upgrade") != "h2c" {
			t.Fatalf("%s: %v %+v", path, err, answer)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(r, got); err != nil || string(got) != "early" {
			t.Errorf("%s: %q %v", path, got, err)
		}
	}
}
