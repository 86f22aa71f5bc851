package raftstore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

func TestHeadsTalkInMutualTLS(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	heads := tlsHeads(t, ca, 2)
	first, second := heads[0], heads[1]
	address := string(second.trans.(raft.Transport).LocalAddr())
	r := mustPropose(t, first, account(1))
	if err := second.Wait(t.Context(), func(v *state.View) (bool, error) { return v.Index() >= r.Index, nil }); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		peer *tls.Config
	}{
		{"a node", identity(t, ca, pki.RoleNode, "node-1").ClientTLS(pki.RoleHead, "")},
		{"a head of another data center", identity(t, newCA(t), pki.RoleHead, "head-9").ClientTLS(pki.RoleHead, "")},
		{"a peer without a certificate", &tls.Config{InsecureSkipVerify: true}},
	} {
		if c.name == "a head of another data center" {
			c.peer.VerifyConnection = nil
		}
		if err := talk(t, address, c.peer); err == nil {
			t.Errorf("%s can talk to raft", c.name)
		}
	}
}

func TestCloseEndsTheConnectionsOfOthers(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	s := tlsHead(t, ca, "head-0", true)
	address := string(s.trans.(raft.Transport).LocalAddr())
	conn, err := tls.Dial("tcp", address, identity(t, ca, pki.RoleHead, "head-1").ClientTLS(pki.RoleHead, "head-0"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// An empty vote request that is answered shows that raft has the connection.
	if _, err := conn.Write([]byte{1, 0x80}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection outlives the store")
	}
}

// talk connects and waits for the server's alert, which TLS 1.3 sends after
// the client believes that all is well.
func talk(t *testing.T, address string, config *tls.Config) error {
	t.Helper()
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	_, err = conn.Read(make([]byte, 1))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	return err
}

func newCA(t testing.TB) *pki.CA {
	t.Helper()
	ca, err := pki.CreateCA("dc-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func identity(t testing.TB, ca *pki.CA, role pki.Role, id string) *pki.Identity {
	t.Helper()
	key, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Sign(csr, role, id, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	i, err := pki.NewIdentity(key, cert, ca.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// tlsHeads are n heads of which all vote and the first leads.
func tlsHeads(t testing.TB, ca *pki.CA, n int) []*Store {
	t.Helper()
	heads := []*Store{tlsHead(t, ca, "head-0", true)}
	waitReady(t, heads[0])
	for i := 1; i < n; i++ {
		id := fmt.Sprintf("head-%d", i)
		heads = append(heads, tlsHead(t, ca, id, false))
		if err := heads[0].Join(t.Context(), id, string(heads[i].trans.(raft.Transport).LocalAddr())); err != nil {
			t.Fatal(err)
		}
	}
	return heads
}

func tlsHead(t testing.TB, ca *pki.CA, id string, bootstrap bool) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{
		Dir: t.TempDir(), ID: id, Bind: "127.0.0.1:0", Identity: identity(t, ca, pki.RoleHead, id), Bootstrap: bootstrap,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
