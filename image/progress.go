package image

import (
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// Progress tells of one layer of a pull or push, in Docker's words.
type Progress struct {
	Layer   string // short digest, 12 hex digits: of the blob, or in a push of what it unpacks to
	Status  string // one of the statuses below
	Current int64  // bytes
	Total   int64
}

// The statuses of a layer, in the order in which they come. A layer that the
// node holds has only the last one.
const (
	StatusPulling     = "Pulling fs layer"
	StatusWaiting     = "Waiting"
	StatusDownloading = "Downloading"
	StatusVerifying   = "Verifying Checksum"
	StatusDownloaded  = "Download complete"
	StatusExtracting  = "Extracting"
	StatusPulled      = "Pull complete"
	StatusExists      = "Already exists"
)

// The statuses of a layer in a push, which ends with one of the last three;
// StatusWaiting belongs to both.
const (
	StatusPreparing   = "Preparing"
	StatusPushing     = "Pushing"
	StatusPushed      = "Pushed"
	StatusPushExisted = "Layer already exists"
	StatusMounted     = "Mounted from " // and the repository
)

// progressInterval is how often a layer's bytes are told of.
const progressInterval = 100 * time.Millisecond

// reporter passes progress on, one message at a time.
type reporter struct {
	mu   sync.Mutex
	send func(Progress)
}

func (r *reporter) say(layer digest.Digest, status string) {
	r.bytes(layer, status, 0, 0)
}

func (r *reporter) bytes(layer digest.Digest, status string, current, total int64) {
	if r.send == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.send(Progress{Layer: layer.Encoded()[:12], Status: status, Current: current, Total: total})
}

// meter tells of the bytes of one layer, but not of each.
type meter struct {
	reporter *reporter
	layer    digest.Digest
	status   string
	total    int64
	last     time.Time
}

func (m *meter) at(current int64) {
	if now := time.Now(); now.Sub(m.last) >= progressInterval {
		m.last = now
		m.reporter.bytes(m.layer, m.status, current, m.total)
	}
}
