package wire

import (
	"context"
	"net/http"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// Membership is how the leading head keeps a node a member of the data center.
type Membership interface {
	// Attend tells the node what members know, and asks how it is. The leader
	// calls it every few seconds.
	//
	// It also carries the node's lease. The mark of an answer comes back in a
	// later call, from a head that had received the answer and after that made
	// sure that it leads. By this the node knows that as late as it gave the
	// mark a leader knew of it. What is to run elsewhere when the node is gone
	// is stopped by the node itself once that is StopAfter ago; and a leader
	// that has had no answer for longer than that may start it elsewhere.
	Attend(ctx context.Context, a Attention) (Standing, error)
}

// Attention is what the leader tells a node. What is nil or empty stays as it is.
type Attention struct {
	// Mark is that of an earlier answer: it renews the lease. "" does not.
	Mark string `json:"mark,omitempty"`
	// Gone are machines whose certificates are to be refused.
	Gone *Gone `json:"gone,omitempty"`
	// Keyring holds the keys of the gossip ring.
	Keyring *model.Keyring `json:"keyring,omitempty"`
	// Certificate is a new one for the node, PEM.
	Certificate []byte `json:"certificate,omitempty"`
}

// Gone lists the machines that were removed from the data center, by id.
type Gone struct {
	Version string   `json:"version"` // tells lists apart
	Heads   []string `json:"heads,omitempty"`
	Nodes   []string `json:"nodes,omitempty"`
}

// Standing is how a node stands.
type Standing struct {
	Mark      string        `json:"mark"`       // of this answer
	StopAfter time.Duration `json:"stop_after"` // see Attend
	// Fenced says that the lease is over.
	Fenced bool `json:"fenced,omitempty"`
	// Held are the node's containers that may be started elsewhere.
	Held []Held `json:"held,omitempty"`
	// Gone and Keyring are the versions that the node has.
	Gone    string `json:"gone,omitempty"`
	Keyring int    `json:"keyring,omitempty"`
	// Request asks for a new certificate, PEM; it is empty while the node's is
	// good for long enough.
	Request []byte `json:"request,omitempty"`
}

// Held is a container of a node that may be started elsewhere.
type Held struct {
	ID         string `json:"id"`
	Generation int    `json:"generation,omitempty"`
}

// Attend implements Membership.
func (c *Client) Attend(ctx context.Context, a Attention) (s Standing, err error) {
	err = c.call(ctx, http.MethodPost, "/attend", a, &s)
	return s, err
}

func (h *handler) attendRoute(route func(string, http.HandlerFunc)) {
	route("POST "+pathPrefix+"/attend", answer(h, func(ctx context.Context, _ string, in Attention) (Standing, error) {
		return h.agent.Attend(ctx, in)
	}))
}
