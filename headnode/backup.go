package headnode

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/raftstore"
)

// A backup is a tar archive of what a data center cannot be made again without,
// in this order:
//
//	cluster.json   which data center it is
//	ca.pem         its certificate authority
//	ca-key.pem
//	gossip.key     the keys of its ring
//	state          the replicated state, as raftstore writes it
//
// Whoever has it can be anybody in the data center.
const (
	backupCluster = "cluster.json"
	backupCA      = "ca.pem"
	backupCAKey   = "ca-key.pem"
	backupGossip  = "gossip.key"
	backupState   = "state"
)

// maxSecret bounds what is read of a backup's small members.
const maxSecret = 1 << 20

// cluster is what a backup says of its data center.
type cluster struct {
	ClusterID  string    `json:"cluster_id"`
	DataCenter string    `json:"data_center"`
	Made       time.Time `json:"made"`
	Head       string    `json:"head"` // by which it was made
	Version    string    `json:"version"`
}

// backup writes one of this moment's state as this head has it.
func (h *head) backup(ctx context.Context, w io.Writer) error {
	var state bytes.Buffer
	if err := h.store.Backup(ctx, &state); err != nil {
		return err
	}
	key, err := h.home.ca.Key()
	if err != nil {
		return err
	}
	about, err := json.Marshal(cluster{
		ClusterID: h.home.record.ClusterID, DataCenter: h.home.record.DataCenter, Made: time.Now().UTC(), Head: h.cfg.Name, Version: h.cfg.Version,
	})
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	for _, member := range []struct {
		name string
		data []byte
	}{
		{backupCluster, about}, {backupCA, h.home.ca.Certificate()}, {backupCAKey, key},
		{backupGossip, bytes.Join(h.ring.Keys(), nil)}, {backupState, state.Bytes()},
	} {
		if err := archive.WriteHeader(&tar.Header{Name: member.name, Size: int64(len(member.data)), Mode: 0o600, ModTime: time.Now()}); err != nil {
			return err
		}
		if _, err := archive.Write(member.data); err != nil {
			return err
		}
	}
	return archive.Close()
}

// opened is a backup whose state is still to be read.
type opened struct {
	cluster cluster
	ca      *pki.CA
	gossip  [][]byte
	state   io.Reader
}

// openBackup reads a backup up to its state.
func openBackup(r io.Reader) (opened, error) {
	archive := tar.NewReader(r)
	small := map[string][]byte{}
	for {
		header, err := archive.Next()
		if err != nil {
			return opened{}, model.WrapError(model.KindInvalid, err, "this is no backup, or only a part of one")
		}
		if header.Name == backupState {
			break
		}
		if small[header.Name], err = io.ReadAll(io.LimitReader(archive, maxSecret)); err != nil {
			return opened{}, model.WrapError(model.KindInvalid, err, "the backup is damaged")
		}
	}
	b := opened{state: archive}
	if err := json.Unmarshal(small[backupCluster], &b.cluster); err != nil || b.cluster.ClusterID == "" {
		return opened{}, model.Errorf(model.KindInvalid, "the backup does not say which data center it is of")
	}
	var err error
	if b.ca, err = pki.NewCA(small[backupCA], small[backupCAKey]); err != nil {
		return opened{}, model.WrapError(model.KindInvalid, err, "the backup's certificate authority is damaged")
	}
	if b.gossip, err = splitGossipKeys(small[backupGossip]); err != nil {
		return opened{}, model.WrapError(model.KindInvalid, err, "the backup's gossip keys are damaged")
	}
	return b, nil
}

// restore puts a backup's state in the place of the heads'. It must be one of
// this data center.
func (h *head) restore(ctx context.Context, r io.Reader) error {
	b, err := openBackup(r)
	if err != nil {
		return err
	}
	if b.cluster.ClusterID != h.home.record.ClusterID {
		return model.Errorf(model.KindConflict, "the backup is of another data center (%s, made by %s); a machine without a head can become the first head of that one with: spearhead head init --from FILE", b.cluster.DataCenter, b.cluster.Head)
	}
	return restoreError(h.store.Restore(ctx, b.state))
}

// restoreError says of an error without a kind that the backup is to blame.
func restoreError(err error) error {
	if err == nil || model.KindOf(err) != model.KindInternal {
		return err
	}
	return model.WrapError(model.KindInvalid, err, "the backup cannot be restored: %v", err)
}

// InitFrom makes the first head of a data center that has lost all of its
// heads, from a backup: its CA, its ring and its state, so that its nodes know
// it again. Until it is whole nothing starts with the directory; if it is
// interrupted, it can be repeated once the directory has been cleared.
func InitFrom(ctx context.Context, cfg Config, r io.Reader) error {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	if err := refuseHome(cfg.StateDir); err != nil {
		return err
	}
	b, err := openBackup(r)
	if err != nil {
		return err
	}
	record := headRecord{
		ClusterID: b.cluster.ClusterID, DataCenter: b.cluster.DataCenter,
		HeadID: model.NewID()[:32], Name: cfg.Name, Created: time.Now().UTC(),
	}
	if err := makeIdentity(cfg, record, b.ca, b.gossip); err != nil {
		return fmt.Errorf("cannot create a head: %w", err)
	}
	if err := restoreOffline(ctx, cfg, record, b.state); err != nil {
		return errors.Join(err, os.RemoveAll(filepath.Join(cfg.StateDir, dirRaft)))
	}
	return finishHome(cfg, record)
}

// restoreOffline opens the state of a head that nobody knows yet, alone, and
// fills it.
func restoreOffline(ctx context.Context, cfg Config, record headRecord, state io.Reader) error {
	identity, err := pki.Load(filepath.Join(cfg.StateDir, dirIdentity))
	if err != nil {
		return err
	}
	store, err := raftstore.Open(ctx, raftstore.Config{
		Dir: filepath.Join(cfg.StateDir, dirRaft), ID: record.HeadID, Bind: "127.0.0.1:0",
		Advertise: advertised(cfg.Advertise[0], cfg.RaftListen), Identity: identity, Bootstrap: true, Logger: cfg.Logger,
	})
	if err != nil {
		return err
	}
	err = store.Ready(ctx)
	if err == nil {
		err = restoreError(store.Restore(ctx, state))
	}
	return errors.Join(err, store.Close())
}

// Recover makes the head of cfg.StateDir the only one of its data center, for
// one that has lost so many heads for ever that the rest cannot agree any
// more. No head may run on the machine, and the lost ones must never run
// again with what they have on their disks.
func Recover(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	home, err := openHome(cfg.StateDir)
	if err != nil {
		return fmt.Errorf("cannot recover head: %w", err)
	}
	err = raftstore.Recover(ctx, raftstore.Config{
		Dir: filepath.Join(cfg.StateDir, dirRaft), ID: home.record.HeadID, Bind: cfg.RaftListen,
		Advertise: advertised(cfg.Advertise[0], cfg.RaftListen), Identity: home.identity, Logger: cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("cannot recover head: %w", err)
	}
	return nil
}
