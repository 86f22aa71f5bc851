package model

import (
	"strconv"
	"strings"
	"time"
)

// Head is a head node as the replicated state knows it. Which of them vote is
// raft's own knowledge.
type Head struct {
	ID             string   `json:"id"`                        // of its certificate
	Name           string   `json:"name"`                      // its host name
	RaftAddress    string   `json:"raft_address"`              // host:port where raft reaches it
	PeerAddress    string   `json:"peer_address"`              // host:port where the other heads' requests reach it
	DockerHost     string   `json:"docker_host"`               // tcp://host:port for users' clients
	Advertise      []string `json:"advertise,omitempty"`       // names and addresses in its certificates
	MetricsAddress string   `json:"metrics_address,omitempty"` // host:port of its numbers for Prometheus; "" is none
	// Version is of Spearhead, as of its last start, with the level of the log that
	// it knows; see HeadVersion.
	Version string    `json:"version"`
	Joined  time.Time `json:"joined"`
}

// levelMark comes before the level of the log in a head's version, as what
// Semantic Versioning 2.0.0, section 10, calls build metadata: heads that know
// of no levels take it as a part of the version.
const levelMark = "+log."

// HeadVersion is what a head's record says of a program of this release that
// knows this level of the log.
func HeadVersion(release string, level int) string {
	return release + levelMark + strconv.Itoa(level)
}

// Release is the head's version without the level of the log.
func (h *Head) Release() string {
	release, _ := h.version()
	return release
}

// LogLevel is the level of the log that the head knows, 0 for a release from
// before there were levels.
func (h *Head) LogLevel() int {
	_, level := h.version()
	return level
}

func (h *Head) version() (release string, level int) {
	i := strings.LastIndex(h.Version, levelMark)
	if i < 0 {
		return h.Version, 0
	}
	level, err := strconv.Atoi(h.Version[i+len(levelMark):])
	if err != nil || level < 0 {
		return h.Version, 0
	}
	return h.Version[:i], level
}
