package build

import (
	"net"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/integration/bed"
)

// The one user whom the private registry knows.
const (
	user     = "joe"
	password = "a secret of joe's"
)

// private starts an empty registry that speaks TLS and wants a password. The
// client of every given builder is logged in there.
func private(t *testing.T, all ...builder) (address string) {
	t.Helper()
	host, _, err := net.SplitHostPort(all[0].bed.Address)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := imagetest.SelfSigned(t, host)
	address = imagetest.Options{IP: host, Certificate: certificate, Key: key, Users: map[string]string{user: password}}.Start(t)
	for _, b := range all {
		login(t, b.bed, address)
	}
	return address
}

func login(t *testing.T, b *bed.Bed, address string) {
	t.Helper()
	command := b.Command(t, "login", "-u", user, "--password-stdin", address)
	command.Stdin = strings.NewReader(password)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("docker login: %v: %s", err, out)
	}
}

// refused calls docker, which must fail and say what is wanted.
func (b builder) refused(t *testing.T, want string, args ...string) {
	t.Helper()
	done := b.bed.Try(t, args...)
	if said := done.Stdout + done.Stderr; done.Code == 0 || !strings.Contains(said, want) {
		t.Errorf("docker %s: exit code %d, without %q: %s", strings.Join(args, " "), done.Code, want, said)
	}
}
