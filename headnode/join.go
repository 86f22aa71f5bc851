package headnode

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spearheadcloud/spearhead/gossip"
	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/pki/join"
)

// Join makes this machine a head of the data center that the token is for, with
// the help of the head at the address (host or host:port). It returns the data
// center's name. When the head runs for the first time it asks the others to
// let it vote. It refuses a directory that holds a head already, with
// KindConflict. If it is interrupted, it can be repeated with the same token.
func Join(ctx context.Context, cfg Config, address string, token model.TokenText) (dataCenter string, err error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return "", err
	}
	if token.Role != model.RoleHead {
		return "", model.Errorf(model.KindInvalid, "the token is for a %s; make one for a head with: spearhead token create --role head", token.Role)
	}
	if err := refuseHome(cfg.StateDir); err != nil {
		return "", err
	}
	client, err := join.Reach(ctx, address, token)
	if err != nil {
		return "", err
	}
	defer client.Close()
	keyPEM, err := join.Key(cfg.StateDir)
	if err != nil {
		return "", fmt.Errorf("cannot join: %w", err)
	}
	csrPEM, err := pki.RequestFor(keyPEM)
	if err != nil {
		return "", err
	}
	answer, err := client.Await(ctx, join.Request{
		Role: model.RoleHead, Token: token.ID, Secret: token.Secret, CSR: csrPEM,
		Name: cfg.Name, Hosts: cfg.Advertise, Version: cfg.Version,
	}, func(join.Answer) {})
	if err != nil {
		return "", err
	}
	if err := joinHome(cfg, keyPEM, answer, time.Now().UTC()); err != nil {
		return "", fmt.Errorf("cannot join: %w", err)
	}
	return answer.DataCenter, nil
}

// refuseHome refuses a directory that holds a head.
func refuseHome(dir string) error {
	for _, made := range []string{fileHead, dirRaft} {
		if _, err := os.Lstat(filepath.Join(dir, made)); !errors.Is(err, fs.ErrNotExist) {
			return model.Errorf(model.KindConflict, "cannot create a head: the state directory holds one already; move it away to begin anew")
		}
	}
	return nil
}

// joinHome writes what a head was given; head.json comes last.
func joinHome(cfg Config, keyPEM []byte, a join.Answer, now time.Time) error {
	ca, err := pki.NewCA(a.CA, a.CAKey)
	if err != nil {
		return err
	}
	if err := ca.Save(filepath.Join(cfg.StateDir, dirCA)); err != nil {
		return err
	}
	if err := pki.Save(filepath.Join(cfg.StateDir, dirIdentity), keyPEM, a.Certificate, a.CA); err != nil {
		return err
	}
	if err := saveGossipKeys(cfg.StateDir, a.GossipKeys); err != nil {
		return err
	}
	if err := failpoint.Hit("head.join.record"); err != nil {
		return err
	}
	record := headRecord{
		ClusterID: a.Label, DataCenter: a.DataCenter, HeadID: a.ID, Name: cfg.Name, Created: now,
		Joined: true, GossipJoin: a.GossipJoin,
	}
	for _, h := range a.Heads {
		record.Peers = append(record.Peers, h.PeerAddress)
	}
	if err := atomicfile.WriteJSON(filepath.Join(cfg.StateDir, fileHead), record, 0o600); err != nil {
		return err
	}
	return join.DropKey(cfg.StateDir)
}

// gossipMembers are members of the ring for a machine that joins it: this head
// and the others that are there.
func (h *head) gossipMembers() []string {
	members := []string{h.ring.Addr()}
	for _, m := range h.ring.Members() {
		if m.Role == gossip.RoleHead && m.Alive && m.Addr != members[0] {
			members = append(members, m.Addr)
		}
	}
	return members
}
