package adminapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// Bounds of a token's life.
const (
	usualTokenLife = time.Hour
	maxTokenLife   = 30 * 24 * time.Hour
)

// TokenRequest asks for a join token.
type TokenRequest struct {
	Role    string        `json:"role"`              // model.RoleHead or model.RoleNode
	Life    time.Duration `json:"life,omitempty"`    // 0 is an hour
	Approve bool          `json:"approve,omitempty"` // the node that uses it needs no approval
}

// NewToken is a token that was just made. Its text is told this once.
type NewToken struct {
	Text  string      `json:"text"`
	Token model.Token `json:"token"`
}

func (s *server) tokens(*http.Request) ([]model.Token, error) {
	return values(s.Store.View().Tokens()), nil
}

func (s *server) createToken(r *http.Request) (NewToken, error) {
	in, err := decode[TokenRequest](r)
	if err != nil {
		return NewToken{}, err
	}
	life := cmp.Or(in.Life, usualTokenLife)
	switch {
	case in.Role != model.RoleHead && in.Role != model.RoleNode:
		return NewToken{}, model.Errorf(model.KindInvalid, "a token is for a head or a node, not for %q", in.Role)
	case in.Role == model.RoleHead && in.Approve:
		return NewToken{}, model.Errorf(model.KindInvalid, "heads need no approval: their token is enough")
	case life < time.Minute || life > maxTokenLife:
		return NewToken{}, model.Errorf(model.KindInvalid, "a token lives from a minute to 30 days, not %s", life)
	}
	text := model.TokenText{
		Role: in.Role, ID: randomHex(model.TokenIDDigits), Secret: randomHex(model.TokenSecretDigits), Fingerprint: s.CA.Fingerprint(),
	}
	now := time.Now().UTC()
	token := model.Token{
		ID: text.ID, Role: in.Role, Hash: model.HashSecret(text.Secret), Approve: in.Approve, Created: now, Expires: now.Add(life),
	}
	if _, err := s.Store.Propose(r.Context(), command.PutToken{Token: token}); err != nil {
		return NewToken{}, err
	}
	return NewToken{Text: text.String(), Token: token}, nil
}

func (s *server) removeToken(r *http.Request) (none, error) {
	_, err := s.Store.Propose(r.Context(), command.RemoveToken{ID: r.PathValue("id")})
	return none{}, err
}

func randomHex(digits int) string {
	b := make([]byte, digits/2)
	rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// CreateToken makes a join token.
func (c *Client) CreateToken(ctx context.Context, r TokenRequest) (NewToken, error) {
	return ask[NewToken](ctx, c, http.MethodPost, "/v1/tokens", r)
}

// Tokens lists the join tokens, used and expired ones too.
func (c *Client) Tokens(ctx context.Context) ([]model.Token, error) {
	return ask[[]model.Token](ctx, c, http.MethodGet, "/v1/tokens", nil)
}

// RemoveToken takes a join token back. A machine that has used it stays.
func (c *Client) RemoveToken(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(id), nil, nil)
}
