package volumes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/image/delta"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Config says where volumes are kept.
type Config struct {
	// StateDir holds volumes where there are no Datasets; it survives a reboot.
	StateDir string
	// RunDir holds what is mounted for containers; it need not survive one.
	RunDir string
	// Datasets is the node's tree of datasets, nil where it has none.
	Datasets Datasets
	Logger   *slog.Logger
}

// Store is the volumes of a node. Its methods may be called by many goroutines
// at once; those about one volume wait for each other.
type Store struct {
	keeper keeper
	run    string
	log    *slog.Logger

	mu   sync.Mutex
	busy map[string]chan struct{} // by volume: closed when it is free again
}

// keeper makes the file trees. An id that is not there is KindNotFound.
type keeper interface {
	// create makes a tree with an empty data directory, unless it is there.
	create(ctx context.Context, id string, size int64) error
	// dir returns the directory of a tree that can be used now.
	dir(ctx context.Context, id string) (string, error)
	// remove removes a tree; a missing one is no error.
	remove(ctx context.Context, id string) error
	list(ctx context.Context) ([]string, error)
	// used returns what the tree takes, or false where its files have to be
	// counted.
	used(ctx context.Context, id string) (model.VolumeUsage, bool, error)
	resize(ctx context.Context, id string, size int64) error
	snapshots
	// quota tells whether trees are held to their size.
	quota() bool
}

// snapshots is what only some keepers can do.
type snapshots interface {
	snapshot(ctx context.Context, id, name string) error
	listSnapshots(ctx context.Context, id string) ([]model.VolumeSnapshot, error)
	removeSnapshot(ctx context.Context, id, name string) error
	restore(ctx context.Context, id, name string) error
	clone(ctx context.Context, id, name, to string, size int64) error
	send(ctx context.Context, id, name, base string) (io.ReadCloser, error)
	receive(ctx context.Context, id string, size int64, onto bool, stream io.Reader) error
	mark(ctx context.Context, id string) ([]string, error)
	marks(ctx context.Context, id string) ([]string, error)
	receiveStep(ctx context.Context, id string, r wire.ReceiveVolumeRequest, stream io.Reader) error
	partial(ctx context.Context, id string) (token string, err error)
	dropPartial(ctx context.Context, id string) error
	sendRest(ctx context.Context, id, name, token string) (io.ReadCloser, error)
	unmark(ctx context.Context, id string) error
}

// Open finds the volumes of the node, and clears away what a crash has left.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{run: c.RunDir, log: c.Logger, busy: map[string]chan struct{}{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.Datasets != nil {
		s.keeper, err = openDatasets(ctx, c.Datasets)
	} else {
		s.keeper, err = openDirectories(c.StateDir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the node's volumes: %w", err)
	}
	return s, nil
}

// Quota reports whether volumes are held to their size.
func (s *Store) Quota() bool { return s.keeper.quota() }

var idRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,127}$`)

// lock waits until nobody else works on a volume.
func (s *Store) lock(ctx context.Context, id string) (unlock func(), err error) {
	if !idRule.MatchString(id) {
		return nil, model.Errorf(model.KindInvalid, "%.64q is no id of a volume", id)
	}
	for {
		s.mu.Lock()
		held, taken := s.busy[id]
		if !taken {
			held = make(chan struct{})
			s.busy[id] = held
		}
		s.mu.Unlock()
		if !taken {
			return func() {
				s.mu.Lock()
				delete(s.busy, id)
				s.mu.Unlock()
				close(held)
			}, nil
		}
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Create makes a volume that may hold size bytes, 0 for any number, unless it
// is there. KindNotImplemented if the storage cannot hold it to a size.
func (s *Store) Create(ctx context.Context, v wire.VolumeRef) error {
	unlock, err := s.lock(ctx, v.ID)
	if err != nil {
		return err
	}
	defer unlock()
	if v.Size > 0 && !s.keeper.quota() {
		return errNoQuota
	}
	return s.keeper.create(ctx, v.ID, v.Size)
}

var errNoQuota = model.Errorf(model.KindNotImplemented,
	"the node's storage cannot hold a volume to a size; leave the option size out, or ask the operator for nodes with ZFS")

// Remove removes a volume with its snapshots. A missing one is no error.
func (s *Store) Remove(ctx context.Context, id string) error {
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	return s.keeper.remove(ctx, id)
}

// List lists the ids of the node's volumes.
func (s *Store) List(ctx context.Context) ([]string, error) { return s.keeper.list(ctx) }

// Usage measures a volume.
func (s *Store) Usage(ctx context.Context, id string) (model.VolumeUsage, error) {
	taken, known, err := s.keeper.used(ctx, id)
	if known || err != nil {
		return taken, err
	}
	dir, err := s.keeper.dir(ctx, id)
	if err != nil {
		return model.VolumeUsage{}, err
	}
	fd, err := unix.Open(filepath.Join(dir, dataName), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return model.VolumeUsage{}, fmt.Errorf("cannot measure a volume: %w", err)
	}
	defer unix.Close(fd)
	used, err := delta.Size(ctx, fd)
	return model.VolumeUsage{Used: used}, err
}

// Resize changes how much a volume may hold, also while it is in use; 0 takes
// the bound away. KindConflict if it holds more already.
func (s *Store) Resize(ctx context.Context, id string, size int64) error {
	return s.with(ctx, id, func() error {
		if !s.keeper.quota() {
			return errNoQuota
		}
		return s.keeper.resize(ctx, id, size)
	})
}

// Snapshot takes a snapshot; KindConflict if there is one of its name.
func (s *Store) Snapshot(ctx context.Context, id, name string) error {
	return s.with(ctx, id, func() error { return s.keeper.snapshot(ctx, id, name) })
}

// Snapshots lists the snapshots of a volume, the oldest first.
func (s *Store) Snapshots(ctx context.Context, id string) ([]model.VolumeSnapshot, error) {
	all, err := s.keeper.listSnapshots(ctx, id)
	shown := []model.VolumeSnapshot{}
	for _, snapshot := range all {
		if !strings.HasPrefix(snapshot.Name, ownPrefix) {
			shown = append(shown, snapshot)
		}
	}
	return shown, err
}

// ownPrefix begins the names of snapshots that are not the user's.
const ownPrefix = "spearhead-"

// RemoveSnapshot removes a snapshot.
func (s *Store) RemoveSnapshot(ctx context.Context, id, name string) error {
	return s.with(ctx, id, func() error { return s.keeper.removeSnapshot(ctx, id, name) })
}

// Restore makes a volume what it was at a snapshot. Nobody may use it.
func (s *Store) Restore(ctx context.Context, id, name string) error {
	return s.with(ctx, id, func() error { return s.keeper.restore(ctx, id, name) })
}

// Clone makes a volume of a snapshot, or of the files of this moment. One that
// is there is no error.
func (s *Store) Clone(ctx context.Context, id string, r wire.CloneVolumeRequest) error {
	unlock, err := s.lock(ctx, r.To.ID)
	if err != nil {
		return err
	}
	defer unlock()
	return s.with(ctx, id, func() error { return s.keeper.clone(ctx, id, r.Snapshot, r.To.ID, r.To.Size) })
}

// Send returns a volume as a stream.
func (s *Store) Send(ctx context.Context, id string, r wire.SendVolumeRequest) (io.ReadCloser, error) {
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if r.Offset < 0 || r.Offset > 0 && r.Snapshot == "" {
		return nil, model.Errorf(model.KindInvalid, "only the stream of a snapshot has a rest")
	}
	var stream io.ReadCloser
	if r.Token != "" {
		stream, err = s.keeper.sendRest(ctx, id, r.Snapshot, r.Token)
	} else {
		stream, err = s.keeper.send(ctx, id, r.Snapshot, r.Base)
	}
	if err != nil {
		return nil, err
	}
	return wire.Rest(stream, r), nil
}

// Receive makes a volume of a stream.
func (s *Store) Receive(ctx context.Context, id string, r wire.ReceiveVolumeRequest, stream io.Reader) error {
	return s.with(ctx, id, func() error { return s.keeper.receive(ctx, id, r.Size, r.Onto, stream) })
}

func (s *Store) with(ctx context.Context, id string, work func() error) error {
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	return work()
}

// dataName is the directory of a volume that containers see.
const dataName = "data"

// makeData makes the data directory of a new volume, as Docker's are.
func makeData(dir string) error {
	err := os.Mkdir(filepath.Join(dir, dataName), 0o755)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return storageError("make a volume", err)
	}
	return nil
}

// storageError tells a user that the storage is full, and nobody else.
func storageError(what string, err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return model.WrapError(model.KindExhausted, err, "cannot %s: no space left on the node's storage", what)
	}
	return fmt.Errorf("cannot %s: %w", what, err)
}

func noSuchVolume() error {
	return model.Errorf(model.KindNotFound, "the node does not have the volume")
}
