package clients

import (
	"archive/tar"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// caller speaks to the data center in requests that no client in this test makes any more.
type caller struct {
	client http.Client
	base   string // with the version of the API
}

// oldCaller is a caller of an old version of the API, with the certificate of the bed's account.
func oldCaller(t *testing.T, b *bed.Bed, version string) *caller {
	t.Helper()
	folder := b.Setting("DOCKER_CERT_PATH")
	own, err := tls.LoadX509KeyPair(filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{
		client: http.Client{Transport: transport},
		base:   "https://" + strings.TrimPrefix(b.Setting("DOCKER_HOST"), "tcp://") + "/" + version,
	}
}

// call sends a request, whose body is JSON unless it is empty, and returns status and answer.
func (c *caller) call(t *testing.T, method, path, body string) (status int, answer []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// expect is call for an answer of a known status.
func (c *caller) expect(t *testing.T, want int, method, path, body string) []byte {
	t.Helper()
	status, answer := c.call(t, method, path, body)
	if status != want {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, status, want, answer)
	}
	return answer
}

// TestHostConfigAtStart has a client that says how to run a container when it starts it.
func TestHostConfigAtStart(t *testing.T) {
	b := setting.Shared(t)
	b.Docker(t, "pull", b.Image)
	old := oldCaller(t, b, "v1.20")
	var made struct{ ID string }
	answer := old.expect(t, http.StatusCreated, "POST", "/containers/create?name="+unique(t), `{"Image":"`+b.Image+`","Cmd":["sleep","1000"],"HostConfig":null}`)
	if err := json.Unmarshal(answer, &made); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Remove(t, made.ID) })
	if answer := old.expect(t, http.StatusBadRequest, "POST", "/containers/"+made.ID+"/start", `{"Dns":["10.9.8.6"]}`); !strings.Contains(string(answer), "HostConfig.Dns") {
		t.Errorf("what cannot be changed any more is refused with %q", answer)
	}
	old.expect(t, http.StatusNoContent, "POST", "/containers/"+made.ID+"/start", `{"Memory":67108864,"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":2},"Binds":null}`)
	if got := b.Inspect(t, made.ID, "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}"); got != "67108864 on-failure" {
		t.Errorf("what was said at the start became %s", got)
	}
	newer := oldCaller(t, b, "v1.24")
	if status, answer := newer.call(t, "POST", "/containers/"+made.ID+"/start", `{"Memory":67108864}`); status != http.StatusBadRequest {
		t.Errorf("from 1.24 on, a body at the start gets status %d: %s", status, answer)
	}
}

// TestCopyOut has the call by which files came out of containers before archives.
func TestCopyOut(t *testing.T) {
	b := setting.Shared(t)
	id := b.Run(t, b.Image, "sh", "-c", "echo old > /tmp/file; echo done; sleep 1000")
	b.Logged(t, id, "done")
	archive := oldCaller(t, b, "v1.20").expect(t, http.StatusOK, "POST", "/containers/"+id+"/copy", `{"Resource":"/tmp/file"}`)
	reader := tar.NewReader(bytes.NewReader(archive))
	header, err := reader.Next()
	if err != nil || header.Name != "file" {
		t.Fatalf("the archive begins with %+v, error %v", header, err)
	}
	if text, err := io.ReadAll(reader); err != nil || string(text) != "old\n" {
		t.Errorf("the file holds %q, error %v", text, err)
	}
	if status, _ := oldCaller(t, b, "v1.24").call(t, "POST", "/containers/"+id+"/copy", `{"Resource":"/tmp/file"}`); status != http.StatusNotFound {
		t.Errorf("from 1.24 on, copy is gone; it has status %d", status)
	}
}

// TestErrorsOfOldVersions has errors as text before 1.24, and as JSON since.
func TestErrorsOfOldVersions(t *testing.T) {
	b := setting.Shared(t)
	for version, want := range map[string]string{
		"v1.20": "No such container: nobody-has-this\n", "v1.23": "No such container: nobody-has-this\n",
		"v1.24": `{"message":"No such container: nobody-has-this"}`,
	} {
		if answer := oldCaller(t, b, version).expect(t, http.StatusNotFound, "GET", "/containers/nobody-has-this/json", ""); strings.TrimSuffix(string(answer), "\n") != strings.TrimSuffix(want, "\n") {
			t.Errorf("%s answers %q, want %q", version, answer, want)
		}
	}
	for version, want := range map[string]string{"v1.11": "is too old", "v9.99": "is too new"} {
		if answer := oldCaller(t, b, version).expect(t, http.StatusBadRequest, "GET", "/containers/json", ""); !strings.Contains(string(answer), want) {
			t.Errorf("%s answers %q", version, answer)
		}
	}
}

// TestForgottenLink removes a link as Docker 1.8 does.
func TestForgottenLink(t *testing.T) {
	b := setting.Shared(t)
	old := b.With(bed.Installed(t, "docker-v1.8.*"))
	old.Run(t, "--name", unique(t)+"-server", b.Image, "sleep", "1000")
	client := old.Run(t, "--name", unique(t)+"-client", "--link", unique(t)+"-server:web", b.Image, "sleep", "1000")
	old.Docker(t, "rm", "--link", unique(t)+"-client/web")
	if got := b.Inspect(t, client, "{{len .HostConfig.Links}}"); got != "0" {
		t.Errorf("after the link was removed, there are %s", got)
	}
}
