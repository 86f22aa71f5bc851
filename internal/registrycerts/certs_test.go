package registrycerts_test

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/registrycerts"
)

func TestAuthoritiesOfARegistry(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	registry := strings.TrimPrefix(s.URL, "https://")
	host, _, _ := strings.Cut(registry, ":")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for _, c := range []struct {
		folder, file string
		content      []byte
		trusted      bool
		fails        bool
	}{
		{registry, "ca.crt", authority, true, false},
		{host, "ca.crt", authority, true, false},
		{host + ":1", "ca.crt", authority, false, false},
		{registry, "readme.txt", authority, false, false},
		{registry, "ca.crt", []byte("none"), false, true},
		{registry, "client.cert", authority, false, true}, // without its key
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, c.folder), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, c.folder, c.file), c.content, 0o644); err != nil {
			t.Fatal(err)
		}
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if err := registrycerts.Add(config, dir, registry); (err != nil) != c.fails {
			t.Errorf("%s/%s: %v", c.folder, c.file, err)
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		resp, err := client.Get(s.URL)
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != c.trusted {
			t.Errorf("%s/%s: trusted %v: %v", c.folder, c.file, err == nil, err)
		}
	}
}

func TestNamesThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, bad := range []string{"outside", "certs"} {
		if err := os.MkdirAll(filepath.Join(dir, bad), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, bad, "ca.crt"), []byte("none"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, registry := range []string{"", ".", "..", "../outside", "a/../../outside", `..\outside`} {
		if err := registrycerts.Add(&tls.Config{MinVersion: tls.VersionTLS12}, filepath.Join(dir, "certs"), registry); err != nil {
			t.Errorf("%q: %v", registry, err)
		}
	}
}
