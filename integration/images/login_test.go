package images

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// login calls docker login, and returns its exit code and all that it said.
func login(t *testing.T, b *bed.Bed, server, name, secret string) (int, string) {
	t.Helper()
	command := b.Command(t, "login", "--username", name, "--password-stdin", server)
	command.Stdin = strings.NewReader(secret)
	out, _ := command.CombinedOutput()
	return command.ProcessState.ExitCode(), string(out)
}

// loggedIn is login, which must succeed.
func loggedIn(t *testing.T, b *bed.Bed, server string) {
	t.Helper()
	if code, said := login(t, b, server, user, password); code != 0 || !strings.Contains(said, "Login Succeeded") {
		t.Fatalf("docker login %s: exit code %d: %s", server, code, said)
	}
}

// TestPrivateRegistry has registries that let only joe in, by each kind of authentication
// and of trust.
func TestPrivateRegistry(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	unlisted := elsewhere(t, b)
	for name, options := range map[string]registryOptions{
		"basic":                      {htpasswd: true},
		"basic-tls":                  {htpasswd: true, ca: known},
		"basic-tls-not-on-the-list":  {htpasswd: true, ca: known, host: unlisted},
		"tokens":                     {tokens: newTokenServer(t, besideHosts(t, b), known)},
		"tokens-tls":                 {tokens: newTokenServer(t, besideHosts(t, b), known), ca: known},
		"tokens-tls-not-on-the-list": {tokens: newTokenServer(t, unlisted, known), ca: known, host: unlisted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t, b, options)
			if options.host == unlisted {
				trust(t, b, r, known)
			}
			privately(t, ownClient(t), r)
		})
	}
}

// privately does what joe does at a registry that only he may use.
func privately(t *testing.T, b *bed.Bed, r *registry) {
	t.Helper()
	name := r.address + "/joes/app:1"
	fresh(t, b, name)
	forget(t, b, name)
	said := refused(t, b, "push", name)
	if !strings.Contains(said, "no basic auth credentials") && !strings.Contains(said, "denied") && !strings.Contains(said, "unauthorized") {
		t.Errorf("a push without a login says %q", said)
	}
	code, wrong := login(t, b, r.address, user, "not the password")
	if code == 0 || !strings.Contains(wrong, "unauthorized: incorrect username or password") || strings.Contains(wrong, "not the password") {
		t.Errorf("a login with a wrong password: exit code %d: %s", code, wrong)
	}
	loggedIn(t, b, r.address)
	b.Docker(t, "push", name)
	b.Docker(t, "rmi", name)
	b.Docker(t, "pull", name)
	if out := b.Docker(t, "run", "--rm", name, "cat", "/etc/made-for"); out != name {
		t.Errorf("the image holds %q", out)
	}
	b.Docker(t, "logout", r.address)
	refusedWith(t, b, "pull access denied for "+strings.TrimSuffix(name, ":1")+", repository does not exist or may require 'docker login'", "pull", name)
	b.Docker(t, "run", "--rm", name, "true") // what was pulled stays the account's
}

// TestIdentityToken has a token server that gives a user a token to keep instead of the
// password.
func TestIdentityToken(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	tokens := newTokenServer(t, besideHosts(t, b), known)
	r := newRegistry(t, b, registryOptions{tokens: tokens, ca: known})
	loggedIn(t, b, r.address)
	text, err := os.ReadFile(filepath.Join(b.Setting("DOCKER_CONFIG"), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	kept := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	if !strings.Contains(string(text), refreshToken) || strings.Contains(string(text), kept) {
		t.Errorf("docker keeps of the login: %s", text)
	}
	name := r.address + "/joes/app:1"
	pushed(t, b, r, "joes/app", "1")
	forget(t, b, name)
	b.Docker(t, "pull", name)
	if asked := tokens.asked(); !slices.Contains(asked, "refresh_token") {
		t.Errorf("tokens were asked for by %v", asked)
	}
}

// TestUnknownAuthority has a registry whose certificate nobody here trusts.
func TestUnknownAuthority(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	stranger, err := newAuthority("a stranger's authority")
	if err != nil {
		t.Fatal(err)
	}
	host := elsewhere(t, b)
	r := newRegistry(t, b, registryOptions{ca: stranger, host: host})
	refusedWith(t, b, "the certificate of registry "+r.address+" is not trusted", "pull", r.address+"/app:1")
	if code, said := login(t, b, r.address, user, password); code == 0 || !strings.Contains(said, "not trusted") {
		t.Errorf("docker login: exit code %d: %s", code, said)
	}
	trust(t, b, r, known)
	refusedWith(t, b, "the certificate of registry "+r.address+" is not trusted", "pull", r.address+"/app:1")
	trust(t, b, r, stranger) // no daemon is started again
	refusedWith(t, b, "manifest unknown", "pull", r.address+"/app:1")
	plain := newRegistry(t, b, registryOptions{host: host})
	refusedWith(t, b, "registry "+plain.address+" speaks plain HTTP", "pull", plain.address+"/app:1")
}

// TestSecretsStayInTheRequest looks for joe's password where it must never be.
func TestSecretsStayInTheRequest(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{htpasswd: true})
	loggedIn(t, b, r.address)
	pushed(t, b, r, "joes/app", "1")
	forget(t, b, r.address+"/joes/app:1")
	b.Docker(t, "pull", r.address+"/joes/app:1")
	secrets := []string{password, base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}
	for _, folder := range []string{"logs", "head-1", "node-1", "node-2"} {
		holds(t, filepath.Join(b.Dir, folder), secrets)
	}
}

// TestPrivatePullIsTheAccountsOwn has one account pull what another may not see.
func TestPrivatePullIsTheAccountsOwn(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	r := newRegistry(t, b, registryOptions{htpasswd: true})
	owner := ownClient(t)
	loggedIn(t, owner, r.address)
	pushed(t, owner, r, "joes/app", "1")
	name := r.address + "/joes/app:1"

	joe, ann := b.Tenant(t, "joe-of-images"), b.Tenant(t, "ann-of-images")
	loggedIn(t, joe, r.address)
	joe.Docker(t, "pull", name)
	id := joe.Inspect(t, name, "{{.Id}}")
	t.Cleanup(func() { _ = joe.Client(afterTest(t), "rmi", "-f", name).Run() })
	if out := ann.Docker(t, "images", "-aq"); out != "" {
		t.Errorf("ann lists %q", out)
	}
	refusedWith(t, ann, "No such image: "+name, "image", "inspect", name)
	refusedWith(t, ann, "No such image: ", "image", "inspect", id)
	refusedWith(t, ann, "No such image: ", "save", "-o", filepath.Join(t.TempDir(), "stolen.tar"), id)
	refusedWith(t, ann, "pull access denied", "run", "--rm", name, "true")
	refusedWith(t, ann, "No such image: ", "tag", id, "mine:1")
	if out := joe.Docker(t, "images", "-q"); out == "" {
		t.Error("joe's image is not his any more")
	}
}
