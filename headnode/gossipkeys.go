package headnode

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
)

// saveGossipKeys writes the ring's keys, the one that encrypts first.
func saveGossipKeys(dir string, keys [][]byte) error {
	return atomicfile.Write(filepath.Join(dir, fileGossip), bytes.Join(keys, nil), 0o600)
}

func loadGossipKeys(dir string) ([][]byte, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileGossip))
	if err != nil {
		return nil, fmt.Errorf("cannot load the gossip keys: %w", err)
	}
	keys, err := splitGossipKeys(data)
	if err != nil {
		return nil, fmt.Errorf("cannot load the gossip keys: %w", err)
	}
	return keys, nil
}

// splitGossipKeys is the reverse of joining them.
func splitGossipKeys(data []byte) ([][]byte, error) {
	if len(data) == 0 || len(data)%gossipKeySize != 0 {
		return nil, fmt.Errorf("there are %d bytes, and a key has %d", len(data), gossipKeySize)
	}
	return slices.Collect(slices.Chunk(data, gossipKeySize)), nil
}
