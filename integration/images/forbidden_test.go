package images

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestNoWayToLoopback has a user name a node's own loopback: whether somebody listens at a
// port there is not for users to learn.
func TestNoWayToLoopback(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t).Tenant(t, "looker")
	for _, address := range []string{"127.0.0.1:7947", "localhost:7947", "[::1]:7947"} {
		closed(t, b, address)
	}
}

// TestNoWayIntoTheDataCenter has a user name a registry that is the cloud's description of a
// machine, and registries that lead there or to a node's own services.
func TestNoWayIntoTheDataCenter(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t).Tenant(t, "intruder")
	closed(t, b, "169.254.169.254")
	for _, target := range []string{"http://169.254.169.254", "http://127.0.0.1:7947", "http://[::1]:7947"} {
		asked := 0
		leading := listen(t, besideHosts(t, b), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			http.Redirect(w, r, target+r.URL.Path, http.StatusTemporaryRedirect)
		}))
		closed(t, b, leading)
		if asked == 0 {
			t.Errorf("the registry that leads to %s was not asked", target)
		}
	}
	realm := listen(t, besideHosts(t, b), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://169.254.169.254/latest",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	closed(t, b, realm)
}

// closed fails unless a pull from a registry and a search of it are refused for where they
// lead.
func closed(t *testing.T, b *bed.Bed, registry string) {
	t.Helper()
	for _, args := range [][]string{{"pull", registry + "/app:1"}, {"search", registry + "/app"}} {
		said := refused(t, b, args...)
		if !strings.Contains(said, "not open to registries") {
			t.Errorf("docker %s says %q", strings.Join(args, " "), said)
		}
	}
}

// listen serves on a host's address, by plain HTTP, and returns HOST:PORT.
func listen(t *testing.T, host string, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().String()
}
