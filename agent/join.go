package agent

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/pki/join"
)

// JoinRequest is how a machine becomes a node.
type JoinRequest struct {
	Head    string          // host or host:port of a head's public endpoint
	Token   model.TokenText // of an operator
	Address string          // where heads are to dial this agent; "" is Config.Advertise, or this machine's address as the head sees it
	Force   bool            // replace the identity that the machine has
	// Pending is called once if an operator has to approve the machine.
	Pending func(join.Answer)
}

// Join makes this machine a node and writes its identity to cfg.IdentityDir,
// where Run looks for it. It waits while the node waits for its approval. It
// refuses, with KindConflict, a machine that has an identity, unless r.Force:
// then its agent must not run. If it is interrupted it can be repeated with
// the same token.
func Join(ctx context.Context, cfg Config, r JoinRequest) (join.Answer, error) {
	if r.Token.Role != model.RoleNode {
		return join.Answer{}, model.Errorf(model.KindInvalid, "the token is for a %s; make one for a node with: spearhead token create --role node", r.Token.Role)
	}
	if err := cfg.check(); err != nil {
		return join.Answer{}, err
	}
	there, err := join.Exists(cfg.IdentityDir)
	if err != nil {
		return join.Answer{}, fmt.Errorf("cannot look for the node's identity: %w", err)
	}
	if there && !r.Force {
		return join.Answer{}, model.Errorf(model.KindConflict, "this machine is a node already; stop its agent and say --force to let it join as a new one")
	}
	client, err := join.Reach(ctx, r.Head, r.Token)
	if err != nil {
		return join.Answer{}, err
	}
	defer client.Close()
	keyPEM, err := join.Key(cfg.IdentityDir)
	if err != nil {
		return join.Answer{}, fmt.Errorf("cannot make the node's key: %w", err)
	}
	csrPEM, err := pki.RequestFor(keyPEM)
	if err != nil {
		return join.Answer{}, err
	}
	hardware := inventory("/sys")
	answer, err := client.Await(ctx, join.Request{
		Role: model.RoleNode, Token: r.Token.ID, Secret: r.Token.Secret, CSR: csrPEM,
		Name: cfg.Name, Address: cmp.Or(r.Address, cfg.Advertise), Version: cfg.Version, Inventory: &hardware,
	}, r.Pending)
	if err != nil {
		return join.Answer{}, err
	}
	if err := failpoint.Hit("agent/join-answered"); err != nil {
		return join.Answer{}, err
	}
	if err := join.Save(cfg.IdentityDir, keyPEM, answer); err != nil {
		return join.Answer{}, err
	}
	return answer, join.DropKey(cfg.IdentityDir)
}
