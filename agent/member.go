package agent

import (
	"slices"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/gossip"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/pki/join"
)

// member is what other machines see of this one: its certificate, and its part
// in the gossip ring.
type member struct {
	*pki.Identity
	dir string // where they are kept

	mu   sync.Mutex
	ring *gossip.Gossip // nil before it is started
	keys join.Ring
}

// openMember loads what package pki/join has kept in dir.
func openMember(dir string) (*member, error) {
	identity, err := pki.Load(dir)
	if err != nil {
		return nil, err
	}
	keys, err := join.LoadRing(dir)
	if err != nil {
		return nil, err
	}
	return &member{Identity: identity, dir: dir, keys: keys}, nil
}

// enter starts this machine's part in the ring.
func (m *member) enter(ring *gossip.Gossip) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ring = ring
}

// Keyring implements standing.Member.
func (m *member) Keyring() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keys.Version
}

// SetKeyring implements standing.Member. The keys are kept first: a machine
// that restarts must know those that it was heard to have.
func (m *member) SetKeyring(k model.Keyring) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k.Version == m.keys.Version {
		return nil
	}
	next := m.keys
	next.Version, next.Keys = k.Version, slices.Clone(k.Keys)
	if err := join.SaveRing(m.dir, next); err != nil {
		return err
	}
	m.keys = next
	if m.ring == nil {
		return nil
	}
	return m.ring.SetKeys(next.Keys)
}

// Request implements standing.Member.
func (m *member) Request() ([]byte, error) {
	if time.Now().Before(m.RenewAt()) {
		return nil, nil
	}
	return m.Identity.Request()
}

// Renew implements standing.Member.
func (m *member) Renew(certPEM []byte) error { return m.Identity.Renew(m.dir, certPEM) }
