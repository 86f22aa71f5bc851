package join

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/pki"
)

// Ring is what lets a machine into the gossip ring.
type Ring struct {
	Keys  [][]byte `json:"gossip_keys"` // the first encrypts, each opens
	Label string   `json:"label"`       // the data center's id
	Join  []string `json:"gossip_join"` // members that are likely up, host:port
	// Version is that of the keys; 0 is that of the day on which the machine
	// joined, if they were never changed since.
	Version int `json:"version,omitempty"`
}

// keyFile holds the key of a machine that is joining. The token is its own, so
// that a join that was interrupted, or that waits for its approval, can go on
// with both.
const keyFile = "joining-key.pem"

// Key returns the private key, PEM, that an interrupted join has left in a
// folder, or a new one, which it keeps there.
func Key(dir string) ([]byte, error) {
	path := filepath.Join(dir, keyFile)
	keyPEM, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return keyPEM, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if keyPEM, _, err = pki.NewRequest(); err != nil {
		return nil, err
	}
	return keyPEM, atomicfile.Write(path, keyPEM, 0o600)
}

// DropKey ends the life of Key's file: the machine has joined.
func DropKey(dir string) error { return os.Remove(filepath.Join(dir, keyFile)) }

// ringFile is its name in an identity folder, beside ca.pem, cert.pem and
// key.pem. It is written last: with it an identity is whole.
const ringFile = "gossip.json"

// Exists reports whether the folder holds a whole identity.
func Exists(dir string) (bool, error) {
	_, err := os.Lstat(filepath.Join(dir, ringFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Save writes what a machine was given when it joined into its identity
// folder, which it makes if it is not there. A crash leaves none or all of it:
// Exists tells.
func Save(dir string, keyPEM []byte, a Answer) error {
	if err := os.Remove(filepath.Join(dir, ringFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot replace identity: %w", err)
	}
	if err := pki.Save(dir, keyPEM, a.Certificate, a.CA); err != nil {
		return err
	}
	return SaveRing(dir, Ring{Keys: a.GossipKeys, Label: a.Label, Join: a.GossipJoin})
}

// SaveRing replaces what the folder has of the ring.
func SaveRing(dir string, r Ring) error {
	if err := atomicfile.WriteJSON(filepath.Join(dir, ringFile), r, 0o600); err != nil {
		return fmt.Errorf("cannot save the ring's keys: %w", err)
	}
	return nil
}

// LoadRing reads what Save wrote. The error wraps fs.ErrNotExist if the folder
// holds no whole identity.
func LoadRing(dir string) (Ring, error) {
	var r struct {
		Ring
		Key []byte `json:"gossip_key"` // of an identity that an older program made
	}
	if err := atomicfile.ReadJSON(filepath.Join(dir, ringFile), &r); err != nil {
		return Ring{}, fmt.Errorf("cannot load the ring's keys: %w", err)
	}
	if len(r.Keys) == 0 {
		r.Keys = [][]byte{r.Key}
	}
	return r.Ring, nil
}
