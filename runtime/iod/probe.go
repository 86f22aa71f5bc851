package iod

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
)

// ProbeRequest asks for a process in a container whose asker waits for it. It
// is killed, with all that it has started, when the asker goes away.
type ProbeRequest struct {
	Container string          `json:"container"`
	Command   []string        `json:"command"` // OCI runtime with its global options
	Process   json.RawMessage `json:"process"` // an OCI process
	Limit     int             `json:"limit"`   // bytes of output to keep
}

// ProbeResult is how a probe ended and the first that it wrote, to standard
// output and error as they came.
type ProbeResult struct {
	ExitCode int    `json:"exit_code"`
	Output   []byte `json:"output,omitempty"`
}

// probePrefix begins the names of probes, and of nothing else.
const probePrefix = "probe-"

// probeLimit is the most output that can be asked for.
const probeLimit = 1 << 20

// handleProbe is the owner of a probe from beginning to end. A probe whose
// supervisor dies is ended by the next one: see endBound.
func (s *supervisor) handleProbe(w http.ResponseWriter, r *http.Request) error {
	var req ProbeRequest
	if err := decode(w, r, &req); err != nil {
		return err
	}
	id := probePrefix + rand.Text()
	start := StartRequest{Run: id, Command: req.Command, Process: req.Process}
	if err := CheckName(req.Container); err != nil {
		return fail(http.StatusBadRequest, "%w", err)
	}
	if err := start.check(true); err != nil {
		return fail(http.StatusBadRequest, "%w", err)
	}
	if req.Limit < 0 || req.Limit > probeLimit {
		return fail(http.StatusBadRequest, "cannot keep %d bytes of output", req.Limit)
	}
	if err := s.register(id, Settings{Container: req.Container, Bound: true}); err != nil {
		return err
	}
	u, err := s.unit(id)
	if err != nil {
		return err
	}
	kept := &keepFirst{limit: req.Limit}
	u.hub.keep = kept
	u.mu.Lock()
	ended := u.ended
	u.mu.Unlock()
	if _, err := u.start(start); err != nil {
		return errors.Join(err, s.unregister(id))
	}
	if !s.endWith(r.Context(), u, ended) {
		return fail(http.StatusServiceUnavailable, "cannot wait: the supervisor stops")
	}
	result := ProbeResult{ExitCode: u.status().LastExit.ExitCode, Output: kept.bytes()}
	if err := s.unregister(id); err != nil {
		u.logger.Warn("ended probe is not forgotten", "err", err)
	}
	return answer(w, result)
}

// endWith waits for a unit's end and kills it when ctx ends. It returns false
// if the supervisor stops before; a frozen process ends when it is thawed.
func (s *supervisor) endWith(ctx context.Context, u *unit, ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	case <-s.ctx.Done():
		return false
	case <-ctx.Done():
	}
	killFamily(u.process(), u.first())
	select {
	case <-ended:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// endBound ends a probe of an earlier supervisor, which nobody waits for.
func (s *supervisor) endBound(u *unit) {
	u.mu.Lock()
	live, ended := u.phase == running, u.ended
	u.mu.Unlock()
	nobody, cancel := context.WithCancel(s.ctx)
	cancel()
	if live && !s.endWith(nobody, u, ended) {
		return
	}
	if err := s.unregister(u.id); err != nil {
		u.logger.Warn("ended probe is not forgotten", "err", err)
	}
}

// keepFirst keeps the beginning of a process's output.
type keepFirst struct {
	limit int
	mu    sync.Mutex
	kept  []byte
}

func (k *keepFirst) write(b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, b[:min(len(b), k.limit-len(k.kept))]...)
}

func (k *keepFirst) bytes() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept
}
