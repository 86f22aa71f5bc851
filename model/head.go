package model

import "time"

// Head is a head node as the replicated state knows it. Which of them vote is
// raft's own knowledge.
type Head struct {
	ID             string    `json:"id"`                        // of its certificate
	Name           string    `json:"name"`                      // its host name
	RaftAddress    string    `json:"raft_address"`              // host:port where raft reaches it
	PeerAddress    string    `json:"peer_address"`              // host:port where the other heads' requests reach it
	DockerHost     string    `json:"docker_host"`               // tcp://host:port for users' clients
	Advertise      []string  `json:"advertise,omitempty"`       // names and addresses in its certificates
	MetricsAddress string    `json:"metrics_address,omitempty"` // host:port of its numbers for Prometheus; "" is none
	Version        string    `json:"version"`                   // of Spearhead, as of its last start
	Joined         time.Time `json:"joined"`
}
