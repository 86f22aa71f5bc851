package adminapi

import (
	"context"
	"net/http"
)

// Rotation is what became of a change of the gossip ring's key.
type Rotation struct {
	Nodes int      `json:"nodes"`          // that have the new key
	Away  []string `json:"away,omitempty"` // names of those that get it when they are back
}

func (s *server) rotate(r *http.Request) (Rotation, error) { return s.Rotate(r.Context()) }

// RotateGossip gives the gossip ring another key and returns when all machines
// that can be reached have forgotten the old one.
func (c *Client) RotateGossip(ctx context.Context) (Rotation, error) {
	return ask[Rotation](ctx, c, http.MethodPost, "/v1/gossip/rotate", nil)
}
