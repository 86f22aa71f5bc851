package image_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// outerAddress is an address of this machine that is not loopback, where the
// rules for registries are stricter.
func outerAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	t.Skip("needs an IPv4 address beside loopback: plain HTTP is always fine there")
	return ""
}

// TestPullOverTLSWithPassword pulls in processes of their own, as a process
// reads the system's roots once.
func TestPullOverTLSWithPassword(t *testing.T) {
	t.Parallel()
	needRoot(t)
	ip, data := outerAddress(t), t.TempDir()
	layers, config := threeLayers(t)
	push(t, imagetest.Options{IP: "127.0.0.1", Data: data}.Start(t), "private:1", layers, config)
	certificate, key := imagetest.SelfSigned(t, ip)
	const password, wrong = "correct-horse-battery", "not-the-password-at-all"
	registry := imagetest.Options{IP: ip, Data: data, Certificate: certificate, Key: key, Users: map[string]string{"ann": password}}.Start(t)
	denied := fmt.Sprintf("pull access denied for %s/private, repository does not exist or may require 'docker login'", registry)
	for _, test := range []struct{ name, roots, username, password, want string }{
		{"right password", certificate, "ann", password, ""},
		{"wrong password", certificate, "ann", wrong, denied},
		{"unknown user", certificate, "bob", password, denied},
		{"no password", certificate, "ann", "", denied},
		{"unknown certificate", os.DevNull, "ann", password, "the certificate of registry " + registry + " is not trusted; an operator can list it as an insecure registry"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := storeDir(t)
			said, ok := pullElsewhere(t, life{Root: root, Ref: registry + "/private:1", Username: test.username, Password: test.password, PullOnly: true}, test.roots)
			if ok != (test.want == "") || !strings.Contains(said, test.want) {
				t.Errorf("the pull succeeded: %v; it says %q, want %q", ok, said, test.want)
			}
			for _, secret := range []string{password, wrong, base64.StdEncoding.EncodeToString([]byte(test.username + ":" + test.password))} {
				if strings.Contains(said, secret) {
					t.Errorf("the log holds the credentials: %s", said)
				}
				if found := filesWith(t, root, secret); len(found) > 0 {
					t.Errorf("credentials are on the disk, in %v", found)
				}
			}
		})
	}
}

// pullElsewhere pulls in another process that trusts the given roots, and
// returns what it logged and whether it succeeded.
func pullElsewhere(t *testing.T, l life, roots string) (string, bool) {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), lifeEnv+"="+string(text), "SSL_CERT_FILE="+roots, "SSL_CERT_DIR="+t.TempDir())
	said, err := cmd.CombinedOutput()
	return string(said), err == nil
}

func filesWith(t *testing.T, root, text string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPlainHTTPNeedsTheOperatorsWord(t *testing.T) {
	t.Parallel()
	needRoot(t)
	registry := imagetest.StartRegistryAt(t, outerAddress(t))
	layers, config := threeLayers(t)
	push(t, registry, "plain:1", layers, config)
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string][]string{"host and port": {registry}, "host": {host}, "network": {host + "/31"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pull(t, open(t, image.Config{Root: storeDir(t), InsecureRegistries: list}), registry+"/plain:1")
		})
	}
	s := open(t, image.Config{Root: storeDir(t), InsecureRegistries: []string{host + ":1", "198.51.100.0/24"}})
	_, _, _, err = s.Pull(t.Context(), image.PullRequest{Ref: registry + "/plain:1"}, nil)
	want := "registry " + registry + " speaks plain HTTP; an operator can list it as an insecure registry"
	if !model.IsKind(err, model.KindUnavailable) || model.UserText(err) != want {
		t.Errorf("an unlisted registry: %s %q, want %q", model.KindOf(err), model.UserText(err), want)
	}
	_, err = image.Open(t.Context(), image.Config{Root: storeDir(t), InsecureRegistries: []string{"10.0.0.0/99"}})
	if !model.IsKind(err, model.KindInvalid) {
		t.Errorf("a broken list was taken: %v", err)
	}
}
