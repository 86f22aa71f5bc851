package images

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/internal/testaddr"
)

// The one user whom registries with authentication know.
const (
	user     = "joe"
	password = "a secret of joe's"
)

// registryOptions say what kind of registry it is. The zero value is plain HTTP, open to all,
// and on the operator's list of insecure registries, for it is beside the rack's hosts.
type registryOptions struct {
	host     string       // the address on this machine; "" is that beside the rack's hosts
	ca       *authority   // issues its certificate; nil is plain HTTP
	htpasswd bool         // only the user may use it, by basic authentication
	tokens   *tokenServer // only who has its tokens may use it
}

// registry is Debian's.
type registry struct {
	*link
	config  string
	client  http.Client
	base    string // of the registry itself, past the link
	program *exec.Cmd
}

// newRegistry starts an empty registry that lasts as long as the test.
func newRegistry(t *testing.T, b *bed.Bed, o registryOptions) *registry {
	t.Helper()
	if o.host == "" {
		o.host = besideHosts(t, b)
	}
	folder := t.TempDir()
	own := testaddr.Free(t)
	r := &registry{link: newLink(t, o.host, own), config: filepath.Join(folder, "config.yml"), base: "http://" + own}
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}\nhttp:\n  addr: %q\n", filepath.Join(folder, "data"), own)
	if o.ca != nil {
		cert, key, err := o.ca.issue(folder, o.host)
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("  tls: {certificate: %q, key: %q}\n", cert, key)
		r.base = "https://" + own
		r.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // it is our own
	}
	text += o.authentication(t, folder)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start(t)
	t.Cleanup(r.kill)
	return r
}

// authentication is that part of the registry's configuration.
func (o registryOptions) authentication(t *testing.T, folder string) string {
	t.Helper()
	switch {
	case o.htpasswd:
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(folder, "htpasswd")
		if err := os.WriteFile(file, []byte(user+":"+string(hash)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("auth: {htpasswd: {realm: tests, path: %q}}\n", file)
	case o.tokens != nil:
		file := filepath.Join(folder, "tokens.pem")
		if err := os.WriteFile(file, o.tokens.signer.pem(), 0o600); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("auth: {token: {realm: %q, service: %q, issuer: %q, rootcertbundle: %q}}\n", o.tokens.url, tokenService, tokenIssuer, file)
	}
	return ""
}

// start runs the registry, for the first time or again.
func (r *registry) start(t *testing.T) {
	t.Helper()
	r.program = exec.Command("docker-registry", "serve", r.config)
	var said strings.Builder
	r.program.Stderr = &said
	if err := r.program.Start(); err != nil {
		t.Fatal(err)
	}
	err := bed.Poll(t.Context(), 30*time.Second, func() error {
		answer, err := r.client.Get(r.base + "/v2/")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
	if err != nil {
		r.kill()
		t.Fatalf("the registry does not start: %v\n%s", err, said.String())
	}
}

// kill ends the registry as a crash does.
func (r *registry) kill() {
	if r.program == nil {
		return
	}
	_ = r.program.Process.Kill()
	_ = r.program.Wait()
	r.program = nil
}

// takeAway kills the registry, and nothing answers at its address any more.
func (r *registry) takeAway() {
	r.kill()
	r.close()
}

// bringBack undoes takeAway.
func (r *registry) bringBack(t *testing.T) {
	t.Helper()
	r.start(t)
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
}

// call asks the registry itself, past the rack, for or with something of a media type, and
// returns its answer, which must be well.
func (r *registry) call(t *testing.T, method, path, media, body string) (string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(user, password)
	request.Header.Set("Accept", media)
	request.Header.Set("Content-Type", media)
	answer, err := r.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= http.StatusBadRequest {
		t.Fatalf("the registry answers %s %s with status %d, error %v: %s", method, path, answer.StatusCode, err, text)
	}
	return string(text), answer.Header
}

// besideHosts is this machine's address in the network of the rack's hosts. The rack's
// operator lists what is there as insecure registries.
func besideHosts(t *testing.T, b *bed.Bed) string {
	t.Helper()
	host, _, err := net.SplitHostPort(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// elsewhere is another address of this machine that the rack's hosts reach, which is on no
// list.
func elsewhere(t *testing.T, b *bed.Bed) string {
	t.Helper()
	link, err := net.InterfaceByName("she" + b.Index())
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := link.Addrs()
	if err != nil || len(addresses) == 0 {
		t.Fatalf("%s has addresses %v, error %v", link.Name, addresses, err)
	}
	host, _, _ := strings.Cut(addresses[0].String(), "/")
	return host
}

// tlsOf is what a server at an address shows.
func tlsOf(t *testing.T, ca *authority, address string) *tls.Config {
	t.Helper()
	cert, key, err := ca.issue(t.TempDir(), address)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}
