package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

func checkKeys(keys [][]byte) error {
	if len(keys) == 0 {
		return errors.New("there is no key: gossip is never in the clear")
	}
	for _, k := range keys {
		if len(k) != keySize {
			return fmt.Errorf("a key has %d bytes, not %d", len(k), keySize)
		}
	}
	return nil
}

// SetKeys replaces the ring's keys on this machine: the first encrypts what is
// sent from then on, each opens what comes. Members whose keys do not overlap
// lose sight of each other, so that a ring changes its key in three steps:
// every machine learns the new one, then every machine uses it, then every
// machine forgets the old one.
func (g *Gossip) SetKeys(keys [][]byte) error {
	if err := checkKeys(keys); err != nil {
		return fmt.Errorf("cannot change the gossip keys: %w", err)
	}
	for _, k := range keys {
		if err := g.keys.AddKey(k); err != nil {
			return fmt.Errorf("cannot change the gossip keys: %w", err)
		}
	}
	if err := g.keys.UseKey(keys[0]); err != nil {
		return fmt.Errorf("cannot change the gossip keys: %w", err)
	}
	for _, old := range g.Keys() {
		if !slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, old) }) {
			if err := g.keys.RemoveKey(old); err != nil {
				return fmt.Errorf("cannot forget a gossip key: %w", err)
			}
		}
	}
	return nil
}

// Keys are the ring's as this machine has them, the one that encrypts first.
func (g *Gossip) Keys() [][]byte {
	keys := make([][]byte, 0, len(g.keys.GetKeys()))
	for _, k := range g.keys.GetKeys() {
		keys = append(keys, bytes.Clone(k))
	}
	return keys
}
