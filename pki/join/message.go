package join

import "github.com/spearheadcloud/spearhead/model"

// Path is where heads take requests to join, by POST, on their public endpoint.
const Path = "/spearhead/v1/join"

// Request asks to become a member.
type Request struct {
	Role   string `json:"role"`   // model.RoleHead or model.RoleNode
	Token  string `json:"token"`  // the token's id
	Secret string `json:"secret"` // and its secret
	CSR    []byte `json:"csr"`    // PEM; the machine has the key
	Name   string `json:"name"`   // the machine's
	// Address is where a node's agent is reached, host:port. If its host is
	// empty, it is the one that the request comes from.
	Address string `json:"address,omitempty"`
	// Hosts are the names and addresses at which a head is reached.
	Hosts     []string         `json:"hosts,omitempty"`
	Version   string           `json:"version,omitempty"` // of the machine's program
	Inventory *model.Inventory `json:"inventory,omitempty"`
}

// Answer is what a member needs. While Pending is set an operator has to
// approve the machine, and the rest is empty but for ID and Address.
type Answer struct {
	Pending     bool   `json:"pending,omitempty"`
	ID          string `json:"id"`
	Address     string `json:"address,omitempty"`     // of a node, as heads will dial it
	DataCenter  string `json:"data_center"`           // its name
	Certificate []byte `json:"certificate,omitempty"` // PEM
	CA          []byte `json:"ca,omitempty"`          // its certificate, PEM
	// GossipKeys are the ring's, the first of which encrypts; Label is the
	// ring's and the data center's id, and GossipJoin are members of it.
	GossipKeys [][]byte `json:"gossip_keys,omitempty"`
	GossipJoin []string `json:"gossip_join,omitempty"`
	Label      string   `json:"label,omitempty"`
	// CAKey and Heads are for heads only: the CA's private key (PEM), and who
	// the other heads are.
	CAKey []byte       `json:"ca_key,omitempty"`
	Heads []model.Head `json:"heads,omitempty"`
}

// Refusal is the body of an answer that is none.
type Refusal struct {
	Kind model.Kind `json:"kind"`
	Text string     `json:"text"`
}
