package images

import (
	"bufio"
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

// api calls the data center's API itself, as the first account of the rack or, if the bed
// is a tenant's, as that one.
func api(t *testing.T, b *bed.Bed, method, path string) *http.Response {
	t.Helper()
	pair, ca := identityOf(t, b)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	base := "https://" + strings.TrimPrefix(setting.Shared(t).Setting("DOCKER_HOST"), "tcp://")
	request, err := http.NewRequestWithContext(t.Context(), method, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// identityOf is the certificate that the bed's docker client shows, and the authority that
// it trusts: those of its environment or of its context.
func identityOf(t *testing.T, b *bed.Bed) (pair tls.Certificate, ca []byte) {
	t.Helper()
	folder := b.Setting("DOCKER_CERT_PATH")
	if b.Setting("DOCKER_CONTEXT") != "" {
		found, err := filepath.Glob(filepath.Join(b.Setting("DOCKER_CONFIG"), "contexts", "tls", "*", "docker"))
		if err != nil || len(found) != 1 {
			t.Fatalf("the docker client has the contexts %v, error %v", found, err)
		}
		folder = found[0]
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"))
	if err == nil {
		ca, err = os.ReadFile(filepath.Join(folder, "ca.pem"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return pair, ca
}

// decoded reads an answer that must be well.
func decoded[T any](t *testing.T, answer *http.Response) T {
	t.Helper()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, error %v: %s", answer.Request.URL.Path, answer.StatusCode, err, text)
	}
	var value T
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%s: %v: %s", answer.Request.URL.Path, err, text)
	}
	return value
}

// diskUsage is what system df tells of images.
type diskUsage struct {
	TotalCount, Active, Size, Reclaimable int64
	Items                                 []struct {
		RepoTags         []string
		Size, SharedSize int64
	}
}

func usage(t *testing.T, b *bed.Bed) diskUsage {
	t.Helper()
	answer := decoded[struct {
		ImageUsage struct {
			TotalCount, ActiveCount, TotalSize, Reclaimable int64
			Items                                           []struct {
				RepoTags         []string
				Size, SharedSize int64
			}
		}
	}](t, api(t, b, http.MethodGet, "/v1.52/system/df?verbose=1"))
	u := answer.ImageUsage
	return diskUsage{TotalCount: u.TotalCount, Active: u.ActiveCount, Size: u.TotalSize, Reclaimable: u.Reclaimable, Items: u.Items}
}

// TestProgress reads what a program is told of a pull: bytes grow, and never beyond what
// there is.
func TestProgress(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	name := r.address + "/large"
	pushLarge(t, name+":1", 4<<20)
	forget(t, b, name+":1")
	r.throttle(8 << 20)
	answer := api(t, b, http.MethodPost, "/v1.50/images/create?fromImage="+name+"&tag=1")
	type step struct {
		ID, Status, Error string
		ProgressDetail    struct{ Current, Total int64 }
	}
	reached, steps := map[string]int64{}, 0
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		var s step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil || s.Error != "" {
			t.Fatalf("a line of the answer is %q: %v", lines.Text(), err)
		}
		if s.Status != "Downloading" && s.Status != "Extracting" {
			continue
		}
		steps++
		key, at := s.ID+" "+s.Status, s.ProgressDetail
		if at.Current < reached[key] || at.Total > 0 && at.Current > at.Total {
			t.Errorf("%s is at %d of %d after %d", key, at.Current, at.Total, reached[key])
		}
		reached[key] = at.Current
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if steps == 0 || steps > 1000 {
		t.Errorf("a pull of 4 MiB has %d steps of progress", steps)
	}
}
