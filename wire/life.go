package wire

import (
	"context"
	"net/http"
)

// Signs is how a head and a node know of each other that they live. Every head
// asks every node, many times in a minute.
type Signs interface {
	// Life answers at once, whatever else the node does.
	Life(ctx context.Context) (Life, error)
}

// Life is a node's sign of life.
type Life struct {
	// Boot is another one each time that the node's agent is started. Two that
	// alternate are two agents with one identity.
	Boot string `json:"boot"`
}

// Life implements Signs.
func (c *Client) Life(ctx context.Context) (life Life, err error) {
	err = c.call(ctx, http.MethodGet, "/life", nil, &life)
	return life, err
}

func (h *handler) lifeRoute(route func(string, http.HandlerFunc)) {
	route("GET "+pathPrefix+"/life", answer(h, func(ctx context.Context, _ string, _ none) (Life, error) { return h.agent.Life(ctx) }))
}
