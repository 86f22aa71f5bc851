package state

import (
	"fmt"

	"go.etcd.io/bbolt"
)

// Offers returns which node may read which volume, by the volume's id.
func (db *DB) Offers() (map[string]string, error) {
	all := map[string]string{}
	err := db.bolt.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketOffers).ForEach(func(volume, node []byte) error {
			all[string(volume)] = string(node)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the agent's records: %w", err)
	}
	return all, nil
}

// SetOffer records which node may read a volume, "" for none, and returns when
// that is on disk.
func (db *DB) SetOffer(volume, node string) error {
	err := db.bolt.Update(func(tx *bbolt.Tx) error {
		if node == "" {
			return tx.Bucket(bucketOffers).Delete([]byte(volume))
		}
		return tx.Bucket(bucketOffers).Put([]byte(volume), []byte(node))
	})
	if err != nil {
		return fmt.Errorf("cannot record to whom volume %s is offered: %w", volume, err)
	}
	return nil
}
