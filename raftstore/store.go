package raftstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/spearheadcloud/spearhead/pki"
)

// Config says what a Store is made of.
type Config struct {
	Dir       string // for the raft files; made if it is not there
	ID        string // of this head; that of Identity
	Bind      string // host:port where the other heads connect
	Advertise string // host:port by which they find it; "" is Bind
	// Identity is this head's; only heads of the same data center are talked
	// to. Without it the store keeps to itself in memory: for tests.
	Identity *pki.Identity
	// Bootstrap makes this head the first and only voter if the files are new.
	Bootstrap   bool
	DiskTimeout time.Duration // after which a write has failed, ten times that on an only voter; 0 is 2 seconds
	// Proposed, if not nil, is told of each command that this head proposed,
	// of how long it took and what came of it; it must be quick.
	Proposed func(took time.Duration, err error)
	Logger   *slog.Logger // nil discards
}

const defaultDiskTimeout = 2 * time.Second

// Store is one head's part of the replicated state. All methods are safe for
// concurrent use.
type Store struct {
	log    *slog.Logger
	id     raft.ServerID
	raft   *raft.Raft
	fsm    *fsm
	disk   *disk
	logs   raft.LogStore // disk's, the latest entries in memory
	failed *failure

	trans io.Closer
	peers *observed

	transferred moment // begin or end of the latest try to hand on the lead

	settled atomic.Uint64 // the term in which an entry was committed; see ReadIndex

	inflight inflight
	leaders  *leaderWatch
	nudges   *nudges
	watcher  sync.WaitGroup
	patience time.Duration      // of Close, for what is under way
	stop     chan struct{}      // closed when Close begins
	ended    chan struct{}      // closed when raft has ended
	quit     func() raft.Future // tells raft to end, once; the future is done when it has
	closed   sync.Once
	closeErr error

	proposed func(took time.Duration, err error) // may be nil
}

// Open starts the store in cfg.Dir. It returns before there is a leader; see
// Ready. The error is a *DamagedError if the files cannot be trusted.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("cannot open raft store: %w", err)
	}
	trans, err := newTransport(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot open raft store: %w", err)
	}
	s, err := open(cfg, trans)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open raft store: %w", err), trans.Close())
	}
	return s, nil
}

func (c *Config) complete() error {
	if c.Dir == "" || c.ID == "" {
		return errors.New("directory and id are needed")
	}
	if c.Identity != nil && (c.Identity.Role() != pki.RoleHead || c.Identity.ID() != c.ID) {
		return fmt.Errorf("the identity is that of %s %s, not of head %s", c.Identity.Role(), c.Identity.ID(), c.ID)
	}
	if c.Advertise == "" {
		c.Advertise = c.Bind
	}
	if c.DiskTimeout == 0 {
		c.DiskTimeout = defaultDiskTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// open does not close trans when it fails.
func open(cfg Config, trans transport) (*Store, error) {
	failed := newFailure()
	d, err := openDisk(cfg.Dir, cfg.ID, cfg.DiskTimeout, failed, cfg.Logger)
	if err != nil {
		return nil, err
	}
	return run(cfg, d, failed, trans)
}

// run closes d, but not trans, when it fails.
func run(cfg Config, d *disk, failed *failure, trans transport) (*Store, error) {
	s := &Store{log: cfg.Logger, id: raft.ServerID(cfg.ID), disk: d, failed: failed, trans: trans,
		leaders: newLeaderWatch(), nudges: newNudges(trans), patience: cfg.DiskTimeout, stop: make(chan struct{}), ended: make(chan struct{}), proposed: cfg.Proposed}
	s.peers = observe(s.nudges, s.stop)
	s.fsm = newFSM(cfg.ID, failed, &s.inflight)
	if err := s.start(cfg, s.peers); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	alone := s.onlyVoter
	d.store.alone.Store(&alone)
	s.quit = sync.OnceValue(s.raft.Shutdown) // what a second Shutdown returns does not wait
	s.raft.RegisterObserver(s.leaders.observer)
	s.watcher.Go(s.watch)
	s.watcher.Go(func() { s.leaders.run(s.stop) })
	s.watcher.Go(s.nudge)
	return s, nil
}

func (s *Store) start(cfg Config, trans raft.Transport) error {
	conf := raftConfig(cfg)
	logs, err := raft.NewLogCache(logCacheSize, s.disk.store)
	if err != nil {
		return err
	}
	s.logs = logs
	if cfg.Bootstrap {
		if err := s.bootstrap(conf, trans); err != nil {
			return fmt.Errorf("cannot bootstrap: %w", err)
		}
	}
	if s.raft, err = raft.NewRaft(conf, s.fsm, logs, terms{s.disk.store}, s.disk.snapshots, trans); err != nil {
		return err
	}
	if err := s.hurry(conf); err != nil {
		return errors.Join(err, s.raft.Shutdown().Error())
	}
	return nil
}

// bootstrap makes this head the only voter, unless it has a log already. A
// start that was interrupted here has left a term without a log: it is set
// back so that raft sees a new head.
func (s *Store) bootstrap(conf *raft.Config, trans raft.Transport) error {
	store := s.disk.store
	used, err := raft.HasExistingState(store, store, s.disk.snapshots)
	if err != nil {
		return err
	}
	if used {
		m := store.marker.get()
		last, err := store.LastIndex()
		if err != nil || last > 0 || m.Index > 0 || m.VoteTerm > 0 {
			return err
		}
		if snapshots, err := s.disk.snapshots.List(); err != nil || len(snapshots) > 0 {
			return err
		}
		if err := store.SetUint64([]byte(keyCurrentTerm), 0); err != nil {
			return err
		}
	}
	return raft.BootstrapCluster(conf, store, store, s.disk.snapshots, trans, raft.Configuration{
		Servers: []raft.Server{{Suffrage: raft.Voter, ID: conf.LocalID, Address: trans.LocalAddr()}},
	})
}

// hurry lets an only voter hold its election at once: there is no leader whose
// heartbeat it would have to wait for. A change of the timeouts makes raft
// look at the time since the last heartbeat, which is for ever ago.
func (s *Store) hurry(conf *raft.Config) error {
	future := s.raft.GetConfiguration()
	if err := future.Error(); err != nil {
		return err
	}
	servers := future.Configuration().Servers
	if len(servers) != 1 || servers[0].ID != conf.LocalID {
		return nil
	}
	reload := s.raft.ReloadableConfig()
	reload.HeartbeatTimeout--
	return s.raft.ReloadConfig(reload)
}

// watch ends raft when the store has failed. A head without a sound store must
// neither lead nor vote.
func (s *Store) watch() {
	select {
	case <-s.stop:
	case <-s.fsm.removed:
		s.leave()
	case <-s.failed.ch:
	}
	if s.failed.cause() != nil {
		s.log.Error("the replicated state has failed on this head", "op", "raft", "err", s.failed.err)
		s.quit()
	}
}

// Failed is closed when the store has given up: its disk failed, it met a
// command of a newer version, the head was removed (ErrRemoved) or Fail was
// called. Err then says why. The process should end with an error.
func (s *Store) Failed() <-chan struct{} { return s.failed.ch }

// Fail ends the store because of err, which somebody else has found: this head
// must not take part any more.
func (s *Store) Fail(err error) { s.failed.fail(err) }

// Err is why the store has failed, nil if it has not.
func (s *Store) Err() error { return s.failed.cause() }

// Close stops the store. It waits for what is under way, but not for a disk
// that does not answer.
func (s *Store) Close() error {
	s.closed.Do(func() {
		close(s.stop)
		s.watcher.Wait()
		if s.failed.cause() == nil {
			s.inflight.close(s.patience)
		}
		err := s.shutdown()
		close(s.ended)
		s.closeErr = errors.Join(err, s.trans.Close(), s.disk.store.Close())
	})
	return s.closeErr
}

// shutdown ends raft. It does not wait for ever: raft has been seen not to come
// to its end, and then what is left of it ends with the process.
func (s *Store) shutdown() error {
	ended := make(chan error, 1)
	go func() { ended <- s.quit().Error() }()
	limit := time.NewTimer(shutdownLimit)
	defer limit.Stop()
	select {
	case err := <-ended:
		return err
	case <-limit.C:
		return errors.New("raft did not end in time")
	}
}

const shutdownLimit = 15 * time.Second
