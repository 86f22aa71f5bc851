package image

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sync/semaphore"

	"github.com/spearheadcloud/spearhead/image/registry"
	"github.com/spearheadcloud/spearhead/image/unpack"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
)

// The snapshotters that a node can keep layers in.
const (
	Overlay = "overlay"
	ZFS     = "zfs"
)

// Config says where a Store lives and on what.
type Config struct {
	// Root is a directory of the store's own, absolute, made when missing.
	Root string
	// Snapshotter is Overlay or ZFS; "" is Overlay.
	Snapshotter string
	// Datasets are needed by ZFS. With Overlay they hold containers' writable
	// layers, each with its quota, if their file system can carry an
	// overlay's upper directory; if not, they are left alone.
	Datasets Datasets
	// InsecureRegistries are host, host:port or CIDR: plain HTTP, any
	// certificate and any address are fine there.
	InsecureRegistries []string
	// DeniedNetworks are networks that no registry may lead to, such as the
	// one that nodes are managed by.
	DeniedNetworks []netip.Prefix
	// Mirrors are asked for what is on docker.io first; CertsDir holds the
	// certificates of registries with a private authority. See
	// registry.Options.
	Mirrors  []string
	CertsDir string
	// Logger hears of what goes wrong behind a caller's back; nil is silence.
	Logger *slog.Logger
}

// Store holds images, and roots of containers, on one node. It may be used by
// many goroutines at once. A directory has one Store at a time.
type Store struct {
	root        string
	snapshotter string
	log         *slog.Logger
	policy      *registry.Policy
	limits      unpack.Limits
	stall       stallRule

	bolt    *bolt.DB
	db      *metadata.DB
	content content.Store
	layers  snapshots.Snapshotter // by chain id
	base    snapshots.Snapshotter // below layers, to be closed
	images  images.Store
	leases  leases.Manager
	drive   rootDriver

	working   keyed               // blobs and layers that a pull works on
	rivals    rivals              // who waits for a blob that is being worked on
	transfers *semaphore.Weighted // downloads and uploads of layers

	mu    sync.Mutex
	roots map[string]string // container id → image id, also of roots being made
	known map[string]held   // images as they were read last
	pulls map[string]bool   // leases of pulls under way

	collecting sync.Mutex
}

// held is an image and where its layers are.
type held struct {
	image  model.Image
	lowers []string // directories, topmost first
}

// namespace is the one containerd namespace that a node uses: keys of
// snapshots carry it, so a second one would unpack everything once more.
const namespace = "spearhead"

func scoped(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, namespace)
}

// Open opens the store below cfg.Root and cleans up what a crash left behind:
// half-made layers and roots go, what was downloaded stays for a day so that a
// pull can go on. Roots stay mounted as they are.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := newStore(cfg)
	if err != nil {
		return nil, err
	}
	hearLibrary(s.log)
	var undo revert.Stack
	defer undo.Revert()
	if err := s.makeDirectories(); err != nil {
		return nil, err
	}
	if err := s.openDatabase(&undo); err != nil {
		return nil, err
	}
	if err := s.openSnapshotter(ctx, cfg, &undo); err != nil {
		return nil, err
	}
	if err := s.recover(scoped(ctx)); err != nil {
		return nil, err
	}
	undo.Success()
	return s, nil
}

func newStore(cfg Config) (*Store, error) {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if !filepath.IsAbs(cfg.Root) || strings.ContainsAny(cfg.Root, ":,\\\"") {
		return nil, model.Errorf(model.KindInvalid, "the image directory %q must be an absolute path without any of : , \\ \"", cfg.Root)
	}
	policy, err := registry.NewPolicy(registry.Options{
		Insecure: cfg.InsecureRegistries, Denied: cfg.DeniedNetworks, Mirrors: cfg.Mirrors, CertsDir: cfg.CertsDir,
	})
	if err != nil {
		return nil, err
	}
	snapshotter := cfg.Snapshotter
	if snapshotter == "" {
		snapshotter = Overlay
	}
	if snapshotter != Overlay && snapshotter != ZFS {
		return nil, model.Errorf(model.KindInvalid, "storage %q is not known; use %s or %s", snapshotter, Overlay, ZFS)
	}
	if snapshotter == ZFS && cfg.Datasets == nil {
		return nil, model.Errorf(model.KindInvalid, "storage %s needs a dataset", ZFS)
	}
	return &Store{
		root:        filepath.Clean(cfg.Root),
		snapshotter: snapshotter,
		log:         log,
		policy:      policy,
		limits:      unpack.DefaultLimits(),
		stall:       defaultStall,
		transfers:   semaphore.NewWeighted(nodeTransfers),
		roots:       make(map[string]string),
		known:       make(map[string]held),
		pulls:       make(map[string]bool),
	}, nil
}

// makeDirectories makes everything below the root with mode 0700: images hold
// programs with setuid bits that nobody on the node may reach.
func (s *Store) makeDirectories() error {
	for _, dir := range []string{s.root, s.path("content"), s.path(s.snapshotter), s.path("roots"), s.path("trash"), s.path("mounts")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot make image directory: %w", err)
		}
	}
	return makePrivate(s.path("mounts"))
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.root}, parts...)...)
}

func (s *Store) openDatabase(undo *revert.Stack) error {
	blobs, err := local.NewStore(s.path("content"))
	if err != nil {
		return fmt.Errorf("cannot open content store: %w", err)
	}
	s.bolt, err = bolt.Open(s.path("metadata.db"), 0o600, &bolt.Options{Timeout: 2 * time.Second})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return model.WrapError(model.KindConflict, err, "the image directory is in use by another agent")
	}
	if err != nil {
		return fmt.Errorf("cannot open image database: %w", err)
	}
	undo.Add(func() { s.bolt.Close() })
	s.content = blobs
	return nil
}

func (s *Store) openSnapshotter(ctx context.Context, cfg Config, undo *revert.Stack) error {
	var err error
	if s.base, err = s.newSnapshotter(cfg); err != nil {
		return fmt.Errorf("cannot open layers: %w", err)
	}
	undo.Add(func() { s.base.Close() })
	s.db = metadata.NewDB(s.bolt, s.content, map[string]snapshots.Snapshotter{s.snapshotter: s.base})
	if err := s.db.Init(ctx); err != nil {
		return fmt.Errorf("cannot open image database: %w", err)
	}
	s.content = s.db.ContentStore()
	s.layers = s.db.Snapshotter(s.snapshotter)
	s.images = metadata.NewImageStore(s.db)
	s.leases = metadata.NewLeaseManager(s.db)
	s.drive, err = s.newRootDriver(ctx, cfg)
	return err
}

// Close ends the store. Roots stay mounted and containers run on; pulls must
// have ended before.
func (s *Store) Close() error {
	return errors.Join(s.base.Close(), s.bolt.Close())
}

// DiskQuota reports whether roots are held to the quota they were made with.
func (s *Store) DiskQuota() bool { return s.drive.quota() }

// CollectGarbage removes blobs and layers that no image and no pull of the
// last day refers to. Remove calls it; an agent calls it now and then besides,
// as a pull that was given up leaves bytes behind for a day.
func (s *Store) CollectGarbage(ctx context.Context) error {
	s.collecting.Lock()
	defer s.collecting.Unlock()
	if _, err := s.db.GarbageCollect(scoped(ctx)); err != nil {
		return fmt.Errorf("cannot collect garbage: %w", err)
	}
	return nil
}
