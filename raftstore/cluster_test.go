package raftstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

func TestAnotherHeadTakesOver(t *testing.T) {
	t.Parallel()
	heads := inMemoryHeads(t, 3)
	leader := heads[0]
	mustPropose(t, leader, account(1), node(), network(), container(1))
	follower := heads[1]
	_, err := follower.Propose(t.Context(), account(2))
	var notLeader *NotLeaderError
	if !model.IsKind(err, model.KindUnavailable) || !errors.As(err, &notLeader) || notLeader.LeaderID != "head-0" {
		t.Errorf("a follower answered %v, want an error that names head-0", err)
	}
	if err := leader.Close(); err != nil {
		t.Fatal(err)
	}
	next := awaitLeader(t, heads[1:])
	r := mustPropose(t, next, account(2))
	for _, h := range heads[1:] {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := h.Wait(ctx, func(v *state.View) (bool, error) { return v.Index() >= r.Index, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := stateHash(t, heads[1]), stateHash(t, heads[2]); a != b {
		t.Errorf("the heads' states differ: %s and %s", a, b)
	}
}

func TestLateHeadGetsASnapshot(t *testing.T) {
	t.Parallel()
	heads := inMemoryHeads(t, 2)
	reload := heads[0].raft.ReloadableConfig()
	reload.TrailingLogs = 1
	if err := heads[0].raft.ReloadConfig(reload); err != nil {
		t.Fatal(err)
	}
	mustPropose(t, heads[0], account(1), node(), network(), container(1))
	if err := heads[0].raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	late := inMemoryHead(t, 2, heads, false)
	if err := heads[0].Join(t.Context(), "head-2", "head-2"); err != nil {
		t.Fatal(err)
	}
	r := mustPropose(t, heads[0], account(2))
	if err := late.Wait(t.Context(), func(v *state.View) (bool, error) { return v.Index() >= r.Index, nil }); err != nil {
		t.Fatal(err)
	}
	if a, b := stateHash(t, heads[0]), stateHash(t, late); a != b {
		t.Errorf("the heads' states differ: %s and %s", a, b)
	}
}

func TestHeadsTalkInMutualTLS(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	first := tlsHead(t, ca, "head-0", true)
	waitReady(t, first)
	second := tlsHead(t, ca, "head-1", false)
	address := string(second.trans.(raft.Transport).LocalAddr())
	if err := first.Join(t.Context(), "head-1", address); err != nil {
		t.Fatal(err)
	}
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

func newCA(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.CreateCA("dc-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func identity(t *testing.T, ca *pki.CA, role pki.Role, id string) *pki.Identity {
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

func tlsHead(t *testing.T, ca *pki.CA, id string, bootstrap bool) *Store {
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

// inMemoryHeads makes a cluster whose first head leads.
func inMemoryHeads(t *testing.T, n int) []*Store {
	t.Helper()
	var heads []*Store
	for i := range n {
		heads = append(heads, inMemoryHead(t, i, heads, i == 0))
		if i == 0 {
			waitReady(t, heads[0])
			continue
		}
		id := fmt.Sprintf("head-%d", i)
		if err := heads[0].Join(t.Context(), id, id); err != nil {
			t.Fatal(err)
		}
	}
	return heads
}

func inMemoryHead(t *testing.T, n int, others []*Store, bootstrap bool) *Store {
	t.Helper()
	id := fmt.Sprintf("head-%d", n)
	_, trans := raft.NewInmemTransport(raft.ServerAddress(id))
	s, err := open(Config{
		Dir: t.TempDir(), ID: id, Bootstrap: bootstrap, DiskTimeout: defaultDiskTimeout, Logger: discard(),
	}, trans)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, o := range others {
		peer := o.trans.(*raft.InmemTransport)
		peer.Connect(trans.LocalAddr(), trans)
		trans.Connect(peer.LocalAddr(), peer)
	}
	return s
}

// awaitLeader returns the one of the heads that comes to lead and can write.
func awaitLeader(t *testing.T, heads []*Store) *Store {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	for deadline := time.After(30 * time.Second); ; {
		for _, h := range heads {
			if h.IsLeader() && h.Barrier(t.Context()) == nil {
				t.Logf("a new leader after %s", time.Since(start).Round(time.Millisecond))
				return h
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no new leader")
		}
	}
}
