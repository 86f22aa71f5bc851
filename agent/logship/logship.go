package logship

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/internal/logopt"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

// Container is one whose log may be sent.
type Container struct {
	ID      string
	Name    string
	Created time.Time
	Spec    *model.ContainerSpec // is read during Begin only
	LogDir  string               // runtime.Runtime.LogDir
	// Netns is the path of its network namespace, which is held from Begin until
	// the end of sending; "host" is the node's own.
	Netns string
	// Hosts and ResolvConf are the files that it sees in its /etc.
	Hosts, ResolvConf string
}

// Config says how a Shipper works.
type Config struct {
	Logger *slog.Logger
	// Linger is how long End waits at most for the server to take what is left
	// of a log; 0 is 3 seconds.
	Linger time.Duration
}

// A Shipper sends the logs of a node's containers, each with a goroutine of its
// own. Its methods may be called by many goroutines at once.
type Shipper struct {
	cfg Config

	logs jsonlog.Watcher

	mu     sync.Mutex
	closed bool
	runs   map[string]*run // by container
}

// New returns a Shipper that sends nothing yet.
func New(cfg Config) *Shipper {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Linger == 0 {
		cfg.Linger = 3 * time.Second
	}
	return &Shipper{cfg: cfg, runs: map[string]*run{}}
}

// Begin starts to send the log of a container that runs, from where sending
// stopped the last time. It dials nothing itself. Of a container that is being
// sent, or whose driver sends nothing, it does nothing.
func (s *Shipper) Begin(c Container) error {
	config, err := logopt.Parse(c.Spec.Log.Driver, c.Spec.Log.Options)
	if err != nil {
		return fmt.Errorf("cannot send the log of container %s: %w", c.ID, err)
	}
	if !config.Remote() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.runs[c.ID] != nil {
		return nil
	}
	r, err := s.newRun(c, config)
	if err != nil {
		return fmt.Errorf("cannot send the log of container %s: %w", c.ID, err)
	}
	s.runs[c.ID] = r
	r.begin()
	return nil
}

// End is called when a container has ended and before it loses its network. It
// returns when all of its log was sent, or its server does not take it in time,
// or ctx ends; what is left is sent when the container runs again.
func (s *Shipper) End(ctx context.Context, id string) {
	if r := s.take(id); r != nil {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Linger)
		defer cancel()
		r.finish(ctx)
	}
}

// Forget stops at once to send the log of a container, which is to be removed.
func (s *Shipper) Forget(id string) {
	if r := s.take(id); r != nil {
		r.stop(false)
	}
}

// Close stops sending. The next Shipper goes on where this one stopped.
func (s *Shipper) Close() {
	s.mu.Lock()
	s.closed = true
	runs := s.runs
	s.runs = nil
	s.mu.Unlock()
	for _, r := range runs {
		r.stop(true)
	}
}

// take removes a container from those that are sent.
func (s *Shipper) take(id string) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[id]
	delete(s.runs, id)
	return r
}

// Details returns the attributes that docker logs --details shows before each
// line of a container's log, for runtime.LogOptions. Its LogDir, Netns and files are not needed.
func Details(c Container) (map[string]string, error) {
	config, err := logopt.Parse(c.Spec.Log.Driver, c.Spec.Log.Options)
	if err != nil {
		return nil, err
	}
	return config.Details(subjectOf(c))
}

func subjectOf(c Container) *logopt.Subject {
	s := &logopt.Subject{
		Config: c.Spec.Log.Options, ContainerID: c.ID, ContainerName: "/" + c.Name, ContainerCreated: c.Created,
		ContainerImageID: c.Spec.ImageID, ContainerImageName: c.Spec.Image,
		ContainerEnv: c.Spec.Env, ContainerLabels: c.Spec.Labels, DaemonName: "spearhead", HostName: c.Spec.Hostname,
	}
	if args := c.Spec.Args(); len(args) > 0 {
		s.ContainerEntrypoint, s.ContainerArgs = args[0], args[1:]
	}
	return s
}
