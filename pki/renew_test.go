package pki

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// kept is an identity that is kept in a folder, as a machine's is.
func kept(t *testing.T, ca *CA, id string, now time.Time) (*Identity, string) {
	t.Helper()
	dir := t.TempDir()
	key, csr, err := NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Sign(csr, RoleNode, id, []string{"node.example", "10.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := Save(dir, key, cert, ca.Certificate()); err != nil {
		t.Fatal(err)
	}
	i, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return i, dir
}

// renewed signs a new certificate for an identity's request.
func renewed(t *testing.T, ca *CA, i *Identity, role Role, id string, now time.Time) []byte {
	t.Helper()
	csr, err := i.Request()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Sign(csr, role, id, i.Hosts(), now)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestIdentityIsRenewedWhileItIsUsed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca := newCA(t, dc, now).Lasting(3 * time.Hour)
	i, dir := kept(t, ca, "n1", now.Add(-2*time.Hour-time.Minute))
	if due := i.RenewAt(); due.After(now) {
		t.Errorf("after more than two thirds of its life it is due at %s", due)
	}
	server, client := i.ServerTLS(RoleHead), issue(t, ca, RoleHead, "h1", now).ClientTLS(RoleNode, "n1")
	before := i.Expires()
	if err := i.Renew(dir, renewed(t, ca, i, RoleNode, "n1", now)); err != nil {
		t.Fatal(err)
	}
	if !i.Expires().After(before) || i.RenewAt().Before(now) {
		t.Errorf("it expires at %s as before", i.Expires())
	}
	var shown time.Time
	verify := client.VerifyConnection
	client.VerifyConnection = func(cs tls.ConnectionState) error {
		shown = cs.PeerCertificates[0].NotAfter
		return verify(cs)
	}
	if clientErr, serverErr := shake(t, client, server); clientErr != nil || serverErr != nil {
		t.Fatalf("a server that was made before does not work: %v, %v", clientErr, serverErr)
	}
	if !shown.Equal(i.Expires()) {
		t.Errorf("new connections are shown the certificate until %s, want %s", shown, i.Expires())
	}
	again, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Expires().Equal(i.Expires()) {
		t.Errorf("after a restart it expires at %s, want %s", again.Expires(), i.Expires())
	}
}

func TestOnlyTheOwnCertificateIsTaken(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca := newCA(t, dc, now)
	i, dir := kept(t, ca, "n1", now)
	stranger, _ := kept(t, ca, "n1", now)
	expired := now.Add(-3 * 365 * 24 * time.Hour)
	before, err := os.ReadFile(filepath.Join(dir, fileCert))
	if err != nil {
		t.Fatal(err)
	}
	for name, cert := range map[string][]byte{
		"another key":         renewed(t, ca, stranger, RoleNode, "n1", now),
		"another id":          renewed(t, ca, i, RoleNode, "n2", now),
		"another role":        renewed(t, ca, i, RoleHead, "n1", now),
		"another data center": renewed(t, newCA(t, "dc-2", now), i, RoleNode, "n1", now),
		"an expired one":      renewed(t, ca, i, RoleNode, "n1", expired),
		"no certificate":      []byte("x"),
	} {
		if err := i.Renew(dir, cert); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	after, err := os.ReadFile(filepath.Join(dir, fileCert))
	if err != nil || string(after) != string(before) {
		t.Errorf("the certificate on disk has changed: %v", err)
	}
}

func TestRemovedMachinesAreRefused(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca := newCA(t, dc, now)
	head, node := issue(t, ca, RoleHead, "h1", now), issue(t, ca, RoleNode, "n1", now)
	server, client := head.ServerTLS(RoleNode), node.ClientTLS(RoleHead, "")
	if clientErr, serverErr := shake(t, client, server); clientErr != nil || serverErr != nil {
		t.Fatalf("a member is refused: %v, %v", clientErr, serverErr)
	}
	head.Refuse(func(role Role, id string) bool { return role == RoleNode && id == "n1" })
	// The session that the client remembers does not help it.
	if _, serverErr := shake(t, client, server); serverErr == nil {
		t.Error("a removed machine was let in")
	}
	if _, serverErr := shake(t, client, head.TellingTLS(RoleNode)); serverErr != nil {
		t.Errorf("nobody tells a removed machine: %v", serverErr)
	}
	node.Refuse(func(role Role, _ string) bool { return role == RoleHead })
	if clientErr, _ := shake(t, node.ClientTLS(RoleHead, ""), issue(t, ca, RoleHead, "h2", now).ServerTLS(RoleNode)); clientErr == nil {
		t.Error("a removed head was called")
	}
}

func TestEndpointRenewsItself(t *testing.T) {
	t.Parallel()
	start := time.Now()
	e := &endpoint{ca: newCA(t, dc, start).Lasting(30 * time.Minute), hosts: []string{"docker.example"}}
	serial := func(now time.Time) string {
		e.now = func() time.Time { return now }
		pair, err := e.certificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.SerialNumber.String()
	}
	first := serial(start)
	if serial(start.Add(19*time.Minute)) != first {
		t.Error("it was renewed too early")
	}
	if serial(start.Add(21*time.Minute)) == first {
		t.Error("it was not renewed")
	}
}

func TestAnEndpointIsKnownByItsCA(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca := newCA(t, dc, now)
	client, err := EndpointClient(ca.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	endpointOf := func(ca *CA) *tls.Config {
		conf, err := DockerTLS(ca, []string{"docker.example"})
		if err != nil {
			t.Fatal(err)
		}
		return conf
	}
	if clientErr, serverErr := shake(t, client, endpointOf(ca)); clientErr != nil || serverErr != nil {
		t.Errorf("a head called by another name: %v, %v", clientErr, serverErr)
	}
	for name, server := range map[string]*tls.Config{
		"another data center's head": endpointOf(newCA(t, dc, now)),
		"a node":                     {MinVersion: tls.VersionTLS13, GetCertificate: issue(t, ca, RoleNode, "n1", now).ServerTLS().GetCertificate},
	} {
		if clientErr, _ := shake(t, client, server); clientErr == nil {
			t.Errorf("%s was taken for a head", name)
		}
	}
}
