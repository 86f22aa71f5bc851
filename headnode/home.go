package headnode

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
)

// A head's state directory:
//
//	head.json      who this head is; written last by Init
//	ca/            the cluster's certificate authority
//	identity/      this head's key and certificate
//	gossip.key     the keys of the gossip ring, one after the other
//	raft/          the replicated state (raftstore)
const (
	fileHead    = "head.json"
	dirCA       = "ca"
	dirIdentity = "identity"
	fileGossip  = "gossip.key"
	dirRaft     = "raft"
)

const gossipKeySize = 32

// headRecord is what head.json holds.
type headRecord struct {
	ClusterID  string    `json:"cluster_id"`
	DataCenter string    `json:"data_center"`
	HeadID     string    `json:"head_id"`
	Name       string    `json:"name"`
	Created    time.Time `json:"created"`
	// Joined is set of a head that joined others, and Peers where they took
	// each other's requests then: it asks them to let it vote.
	Joined bool     `json:"joined,omitempty"`
	Peers  []string `json:"peers,omitempty"`
	// GossipJoin are members of the ring to begin with.
	GossipJoin []string `json:"gossip_join,omitempty"`
}

// home is what Init made, loaded.
type home struct {
	record     headRecord
	ca         *pki.CA
	identity   *pki.Identity
	gossipKeys [][]byte // the first encrypts
}

// Init creates the first head of a new data center in cfg.StateDir: the
// cluster's CA, this head's certificate, the gossip key and the data center's
// id. It refuses a directory that holds a head already, with KindConflict. If
// it is interrupted, it can be repeated.
func Init(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.DataCenter == "" {
		return errors.New("cannot create a head: data_center is not set")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := refuseHome(cfg.StateDir); err != nil {
		return err
	}
	if err := makeHome(cfg, time.Now().UTC()); err != nil {
		return fmt.Errorf("cannot create a head: %w", err)
	}
	return nil
}

func makeHome(cfg Config, now time.Time) error {
	record := headRecord{
		ClusterID: model.NewID()[:32], DataCenter: cfg.DataCenter,
		HeadID: model.NewID()[:32], Name: cfg.Name, Created: now,
	}
	ca, err := pki.CreateCA(record.ClusterID, now)
	if err != nil {
		return err
	}
	gossipKey := make([]byte, gossipKeySize)
	rand.Read(gossipKey) // never fails (crypto/rand)
	if err := makeIdentity(cfg, record, ca, [][]byte{gossipKey}); err != nil {
		return err
	}
	return finishHome(cfg, record)
}

// makeIdentity writes all but head.json of a head that the CA is new on.
func makeIdentity(cfg Config, record headRecord, ca *pki.CA, gossipKeys [][]byte) error {
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return err
	}
	if err := ca.Save(filepath.Join(cfg.StateDir, dirCA)); err != nil {
		return err
	}
	key, csr, err := pki.NewRequest()
	if err != nil {
		return err
	}
	cert, err := ca.Sign(csr, pki.RoleHead, record.HeadID, cfg.Advertise, record.Created)
	if err != nil {
		return err
	}
	if err := pki.Save(filepath.Join(cfg.StateDir, dirIdentity), key, cert, ca.Certificate()); err != nil {
		return err
	}
	return saveGossipKeys(cfg.StateDir, gossipKeys)
}

// finishHome writes head.json, with which a head is there.
func finishHome(cfg Config, record headRecord) error {
	if err := failpoint.Hit("head.init.record"); err != nil {
		return err
	}
	return atomicfile.WriteJSON(filepath.Join(cfg.StateDir, fileHead), record, 0o600)
}

// openHome loads what Init made.
func openHome(dir string) (*home, error) {
	var h home
	if err := atomicfile.ReadJSON(filepath.Join(dir, fileHead), &h.record); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, model.WrapError(model.KindNotFound, err, "the state directory holds no head; make one with spearhead head init, or spearhead head join")
		}
		return nil, err
	}
	var err error
	if h.ca, err = pki.LoadCA(filepath.Join(dir, dirCA)); err != nil {
		return nil, err
	}
	if h.identity, err = pki.Load(filepath.Join(dir, dirIdentity)); err != nil {
		return nil, err
	}
	if h.gossipKeys, err = loadGossipKeys(dir); err != nil {
		return nil, err
	}
	return &h, nil
}
