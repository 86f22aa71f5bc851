package iod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/bootid"
)

// execMemory is how long an ended exec is remembered.
const execMemory = 10 * time.Minute

// A supervisor holds all units of a node.
type supervisor struct {
	cfg      Config
	ctx      context.Context
	cancel   context.CancelFunc
	boot     string
	reaper   *reaper
	keeper   *keeper
	work     sync.WaitGroup
	chunks   sync.Pool
	consoles atomic.Uint64

	mu      sync.Mutex
	units   map[string]*unit
	exits   []Exit        // not acknowledged, oldest first
	changed chan struct{} // closed and replaced when exits grows
}

func newSupervisor(ctx context.Context, cfg Config) (*supervisor, error) {
	boot, err := bootid.Read()
	if err != nil {
		return nil, fmt.Errorf("cannot serve: %w", err)
	}
	r, err := newReaper()
	if err != nil {
		return nil, err
	}
	s := &supervisor{
		cfg: cfg, boot: boot, reaper: r, keeper: newKeeper(),
		units: map[string]*unit{}, changed: make(chan struct{}),
		chunks: sync.Pool{New: func() any { return &chunk{buf: make([]byte, chunkSize)} }},
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.work.Go(func() { r.run(s.ctx) })
	return s, nil
}

// close stops supervising. Nothing that is supervised is touched.
func (s *supervisor) close() {
	s.cancel()
	s.keeper.close()
	s.mu.Lock()
	for _, u := range s.units {
		u.mu.Lock()
		stopPump(u.pidfd)
		u.mu.Unlock()
		u.hub.end()
	}
	s.mu.Unlock()
	s.work.Wait()
}

func (s *supervisor) stateDir(id string) string {
	return filepath.Join(s.cfg.StateDir, ContainerName, id)
}

func (s *supervisor) consolePath() string {
	return filepath.Join(s.cfg.RunDir, "tty"+strconv.FormatUint(s.consoles.Add(1), 10))
}

// register makes a unit known. Its settings are kept for the next supervisor;
// after a power cut they may be gone, and it is registered again.
func (s *supervisor) register(id string, set Settings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.units[id]; u != nil {
		if u.set != set {
			return fail(http.StatusConflict, "cannot register %s: it is known with other settings", id)
		}
		return nil
	}
	u := s.newUnit(id, set)
	dir := u.stateDir
	if set.Container != "" {
		s.forgetOldExecs()
		dir = u.runDir
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot register %s: %w", id, err)
	}
	if err := writeQuick(filepath.Join(dir, SettingsName), set); err != nil {
		return fmt.Errorf("cannot register %s: %w", id, err)
	}
	s.loadExits(u)
	s.units[id] = u
	return nil
}

// forgetOldExecs is called with s.mu held.
func (s *supervisor) forgetOldExecs() {
	for id, u := range s.units {
		u.mu.Lock()
		old := u.set.Container != "" && u.last != nil && time.Since(u.endedAt) > execMemory
		u.mu.Unlock()
		if old && u.discard() == nil {
			delete(s.units, id)
		}
	}
}

// unregister forgets a unit and, of a container, its log, exits and execs.
func (s *supervisor) unregister(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.units[id]
	if u == nil {
		return nil
	}
	if err := u.discard(); err != nil {
		return err
	}
	delete(s.units, id)
	for other, e := range s.units {
		if e.set.Container == id && e.discard() == nil {
			delete(s.units, other)
		}
	}
	kept := s.exits[:0:0]
	for _, e := range s.exits {
		if e.ID != id {
			kept = append(kept, e)
		}
	}
	s.exits = kept
	return nil
}

func (s *supervisor) unit(id string) (*unit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.units[id]; u != nil {
		return u, nil
	}
	return nil, fail(http.StatusNotFound, "cannot find %.140q: it is not registered", id)
}

// running lists the containers that run.
func (s *supervisor) running() []Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Process{}
	for _, u := range s.units {
		if st := u.status(); st.Process != nil && u.set.Container == "" {
			list = append(list, *st.Process)
		}
	}
	return list
}

func exitPath(u *unit, run string) string {
	if u.stateDir == "" {
		return filepath.Join(u.runDir, "exit.json")
	}
	return filepath.Join(u.stateDir, "exit-"+run+".json")
}

// recordExit makes the end of a run durable. If the disk refuses, the end is
// told nevertheless: somebody who never hears of it would be worse off.
func (s *supervisor) recordExit(u *unit, e Exit) {
	var err error
	if u.stateDir == "" {
		err = writeQuick(exitPath(u, e.Run), e)
	} else {
		err = atomicfile.WriteJSON(exitPath(u, e.Run), e, 0o600)
	}
	if err != nil {
		u.logger.Error("exit is not recorded", "err", err)
	}
}

func (s *supervisor) announce(u *unit, e Exit) {
	if u.set.Container != "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exits = append(s.exits, e)
	close(s.changed)
	s.changed = make(chan struct{})
}

// pending returns the exits that nobody acknowledged, and a channel that is
// closed when there are more.
func (s *supervisor) pending() ([]Exit, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Exit(nil), s.exits...), s.changed
}

func (s *supervisor) acknowledge(id, run string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range s.exits {
		if e.ID != id || e.Run != run {
			continue
		}
		s.exits = append(s.exits[:i:i], s.exits[i+1:]...)
		if u := s.units[id]; u != nil {
			if err := os.Remove(exitPath(u, run)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("cannot forget exit: %w", err)
			}
		}
		return nil
	}
	return nil
}

// killRuntime ends a half-made container.
func (s *supervisor) killRuntime(runtime []string, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 10*time.Second)
	defer cancel()
	argv := append(append([]string(nil), runtime...), "delete", "--force", id)
	if err := command(ctx, argv, nil, nil, nil); err != nil {
		s.cfg.Logger.Warn("half-made container is not removed", "container", id, "err", err)
	}
}

// runtimeMessage returns what an OCI runtime logged of its failure.
func runtimeMessage(logPath string, err error) string {
	if text := loggedError(logPath); text != "" {
		return text
	}
	return err.Error()
}

// loggedError returns the last error that an OCI runtime logged, "" for none.
func loggedError(logPath string) (text string) {
	b, err := os.ReadFile(logPath)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		var entry struct{ Msg, Level string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "error" {
			text = entry.Msg
		}
	}
	return text
}

// countOOM returns how often the kernel killed in a cgroup because its memory
// was used up: memory.oom_control of version 1, memory.events of version 2.
func countOOM(path string) int {
	b, err := os.ReadFile(path)
	if path == "" || err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	return 0
}

// writeQuick replaces a file, for readers of this boot.
func writeQuick(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot write record: %w", err)
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, b, 0o600); err != nil {
		return fmt.Errorf("cannot write record: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("cannot write record: %w", err)
	}
	return nil
}
