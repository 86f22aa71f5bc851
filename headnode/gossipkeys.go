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
	if len(data) == 0 || len(data)%gossipKeySize != 0 {
		return nil, fmt.Errorf("cannot load the gossip keys: the file has %d bytes, and a key %d", len(data), gossipKeySize)
	}
	return slices.Collect(slices.Chunk(data, gossipKeySize)), nil
}
