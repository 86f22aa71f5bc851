package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// api calls Docker's API through one head, for tests that need many calls a second.
type api struct {
	base string
	http *http.Client
}

func newAPI(t *testing.T, b *bed.Bed) *api {
	t.Helper()
	dir := b.Setting("DOCKER_CERT_PATH")
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &api{"https://" + strings.TrimPrefix(b.Setting("DOCKER_HOST"), "tcp://"), &http.Client{Transport: transport}}
}

// unsent is the status of a call for which no connection could be had.
const unsent = -1

// answer is what came of a call; status 0 is nothing that could be read.
type answer struct {
	status  int
	body    []byte
	request string // the id that the head gave it
}

// call makes one call, which takes as long as the limit at most.
func (a *api) call(ctx context.Context, limit time.Duration, method, path string, body any) answer {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return answer{}
		}
		in = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, in)
	if err != nil {
		return answer{}
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := a.http.Do(r)
	var broken *net.OpError
	if errors.As(err, &broken) && broken.Op == "dial" {
		return answer{status: unsent}
	}
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}
	}
	return answer{resp.StatusCode, text, resp.Header.Get("X-Request-Id")}
}
