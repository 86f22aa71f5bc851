package adminapi

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// Status is how a head is.
type Status struct {
	DataCenter string `json:"data_center"`
	ClusterID  string `json:"cluster_id"`
	Name       string `json:"name"`
	ID         string `json:"id"`
	Version    string `json:"version"`
	Leader     string `json:"leader"` // id of the leading head, "" if none is known
	IsLeader   bool   `json:"is_leader"`
	Applied    uint64 `json:"applied"` // index of the last applied raft entry
	Nodes      int    `json:"nodes"`
	Connected  int    `json:"connected"` // nodes whose journal the leader follows now
	// Ready says that a container could be created: a leader is known and a
	// node is connected. Reason says what is missing.
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
	// DockerHost is the value of DOCKER_HOST for this head.
	DockerHost string     `json:"docker_host"`
	Raft       RaftStatus `json:"raft"`
}

// RaftStatus is this head's part in the agreement between the heads.
type RaftStatus struct {
	Role        string `json:"role"`
	Term        uint64 `json:"term"`
	LastIndex   uint64 `json:"last_index"`
	CommitIndex uint64 `json:"commit_index"`
	Heads       int    `json:"heads"`
}

// EnrollRequest asks for a node's identity. The agent's machine made the key;
// only its certificate request is sent.
type EnrollRequest struct {
	Name       string            `json:"name"`
	Address    string            `json:"address"` // host:port where the agent serves wire
	CSR        []byte            `json:"csr"`     // PEM
	Overcommit model.Overcommit  `json:"overcommit"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// NodeStatus is a node and what the head sees of it.
type NodeStatus struct {
	model.Node
	Connected  bool            `json:"connected"`
	Seen       time.Time       `json:"seen"` // last sign of life
	Promised   model.Resources `json:"promised"`
	Containers int             `json:"containers"`
	// Orphans are containers that run on the node and that the data center
	// does not know; an operator must look at them.
	Orphans []string `json:"orphans,omitempty"`
	// Missing are containers that the node has lost and that their owners have
	// not removed yet; they are dead.
	Missing []string        `json:"missing,omitempty"`
	Load    *model.NodeLoad `json:"load,omitempty"` // as gossiped; nil if unknown
	// Twin is the address of another machine that uses the node's identity, ""
	// if none was seen. It is not let in.
	Twin string `json:"twin,omitempty"`
}

type createAccount struct {
	Login  string       `json:"login"`
	Policy model.Policy `json:"policy"`
}

type addKey struct {
	Name          string `json:"name"`
	AuthorizedKey string `json:"authorized_key"`
}

type errorBody struct {
	Kind model.Kind `json:"kind"`
	Text string     `json:"text"`
}
