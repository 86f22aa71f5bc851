package agent

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/spearheadcloud/spearhead/agent/build"
	"github.com/spearheadcloud/spearhead/agent/metrics"
	"github.com/spearheadcloud/spearhead/agent/server"
	"github.com/spearheadcloud/spearhead/agent/standing"
	"github.com/spearheadcloud/spearhead/agent/volumes"
	"github.com/spearheadcloud/spearhead/gossip"
	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/internal/revert"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/zfs"
)

// Run runs an agent until ctx ends: it opens the drivers, takes over what the
// node runs, and serves heads. It returns nil when it was stopped by ctx.
// Containers, and the supervisor that holds their streams, run on.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	identity, err := openMember(cfg.IdentityDir)
	if err != nil {
		return fmt.Errorf("cannot load the node's identity: %w", err)
	}
	log := cfg.Logger.With("node", cfg.Name)
	cfg.Logger = log
	keeper, err := openStanding(ctx, cfg, identity)
	if err != nil {
		return err
	}

	var undo revert.Stack
	defer undo.Revert()
	p, err := openParts(ctx, cfg, &undo)
	if err != nil {
		return err
	}
	info, err := p.info(ctx, cfg)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.WireListen)
	if err != nil {
		return fmt.Errorf("cannot listen for heads: %w", err)
	}
	undo.Add(func() { listener.Close() })
	numbers, err := openMetrics(ctx, cfg.MetricsListen)
	if err != nil {
		return err
	}
	meters := metrics.New(cfg.Name, cfg.Version)
	a, err := New(ctx, Options{
		NodeID: identity.ID(), StateDir: cfg.StateDir, RunDir: cfg.RunDir, Info: info, Logger: log, Metrics: meters,
		PoolHealth: p.poolHealth(cfg),
		Drivers:    Drivers{Runtime: p.runtime, Images: p.images, Network: p.network, Volumes: p.volumes},
		Standing:   keeper,
		Peer: func(h wire.Holder) PeerClient {
			return wire.NewClient("https://"+h.Address, identity.ClientTLS(pki.RoleNode, h.NodeID))
		},
		Build: &build.Config{
			StateDir: filepath.Join(cfg.StateDir, "build"), RunDir: filepath.Join(cfg.RunDir, "build"), CgroupParent: cfg.CgroupParent,
			Mounts: p.mountDirs(cfg), Network: p.network, Registry: p.images.RegistryTransport, Logger: log,
		},
	})
	if err != nil {
		return err
	}
	undo.Add(func() { a.Close() })

	ring, err := gossip.Start(ctx, gossip.Config{
		ID: identity.ID(), Role: gossip.RoleNode, Name: cfg.Name,
		Bind: cfg.GossipListen, Advertise: cfg.gossipAdvertise(), WireAddr: cfg.Advertise,
		Keys: identity.keys.Keys, Join: slices.Concat(cfg.GossipJoin, identity.keys.Join), Label: identity.keys.Label, Logger: log,
	})
	if err != nil {
		return fmt.Errorf("cannot join the other machines: %w", err)
	}
	undo.Add(func() { ring.Close() })
	identity.enter(ring)

	var load sync.WaitGroup
	defer load.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if numbers != nil {
		load.Go(func() { serveMetrics(ctx, numbers, meters.Handler(a, log), log) })
	}
	load.Go(func() { a.TellLoad(ctx, ring, p.freeDisk) })
	log.Info("serving heads", "op", "run", "address", listener.Addr().String(), "containers", len(a.snapshots()))
	tellSystemd(ctx, ready)
	return server.Serve(ctx, listener, identity.ServerTLS(pki.RoleHead, pki.RoleNode), a, log)
}

// openStanding takes up the node's standing in its data center.
func openStanding(ctx context.Context, cfg Config, m *member) (*standing.Keeper, error) {
	clock, err := standing.Machine()
	if err != nil {
		return nil, err
	}
	return standing.Open(standing.Config{
		File: filepath.Join(cfg.StateDir, "standing.json"), StopAfter: cfg.StopAfter, Clock: clock, Process: model.ShortID(model.NewID()),
		Member: m, Alive: func() { tellSystemd(ctx, lives) }, Logger: cfg.Logger,
	})
}

// parts are the drivers of a node.
type parts struct {
	pool     *zfs.Pool // nil without ZFS
	images   *image.Store
	volumes  *volumes.Store
	network  *network.Driver
	runtime  *runtime.Runtime
	stateDir string
	touch    *toucher // of the storage that containers' files are on
}

func openParts(ctx context.Context, cfg Config, undo *revert.Stack) (*parts, error) {
	for _, dir := range []string{cfg.StateDir, cfg.RunDir} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("cannot make the agent's folders: %w", err)
		}
	}
	p := &parts{stateDir: cfg.StateDir}
	if err := p.openImages(ctx, cfg); err != nil {
		return nil, err
	}
	undo.Add(func() { p.images.Close() })
	p.openToucher()
	if err := p.openVolumes(ctx, cfg); err != nil {
		return nil, err
	}
	var err error
	p.network, err = network.Open(ctx, network.Config{
		RunDir: filepath.Join(cfg.RunDir, "net"), Prefix: cfg.NetworkPrefix, Uplinks: cfg.NICTags, Logger: cfg.Logger,
		Underlay: cfg.Fabric.Address, VXLANPort: cfg.Fabric.Port, Protected: cfg.Fabric.Protected,
		Connections:  cfg.Fabric.Connections,
		NamesCommand: cfg.NamesCommand, Version: cfg.Version,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open the network: %w", err)
	}
	undo.Add(func() { p.network.Close() })
	p.runtime = runtime.New(cfg.runtime())
	if err := p.runtime.Open(ctx); err != nil {
		return nil, fmt.Errorf("cannot open the container runtime: %w", err)
	}
	undo.Add(func() { p.runtime.Close() })
	return p, nil
}

func (p *parts) openImages(ctx context.Context, cfg Config) (err error) {
	images := image.Config{
		Root: filepath.Join(cfg.StateDir, "images"), Snapshotter: cfg.Storage.Kind,
		InsecureRegistries: cfg.InsecureRegistries, Mirrors: cfg.RegistryMirrors, CertsDir: cfg.RegistryCerts,
		DeniedNetworks: cfg.DeniedNetworks, Logger: cfg.Logger,
	}
	if cfg.Storage.Dataset != "" {
		p.pool, err = zfs.Open(ctx, zfs.Config{Dataset: cfg.Storage.Dataset, Command: cfg.Storage.Command, Logger: cfg.Logger})
		if err != nil {
			return fmt.Errorf("cannot open the storage pool: %w", err)
		}
		images.Datasets = p.pool
	}
	if p.images, err = image.Open(ctx, images); err != nil {
		return fmt.Errorf("cannot open the image store: %w", err)
	}
	return nil
}

func (p *parts) openVolumes(ctx context.Context, cfg Config) (err error) {
	config := volumes.Config{StateDir: cfg.StateDir, RunDir: filepath.Join(cfg.RunDir, "vol"), Logger: cfg.Logger}
	if p.pool != nil {
		config.Datasets = p.pool
	}
	p.volumes, err = volumes.Open(ctx, config)
	return err
}

// mountDirs are the folders below which everything is that is mounted for
// containers: roots, volumes, network namespaces.
func (p *parts) mountDirs(cfg Config) []string {
	dirs := []string{cfg.StateDir, cfg.RunDir}
	if p.pool != nil {
		dirs = append(dirs, p.pool.Root())
	}
	return dirs
}

// info describes the node.
func (p *parts) info(ctx context.Context, cfg Config) (model.NodeInfo, error) {
	info, err := machineInfo()
	if err != nil {
		return info, err
	}
	total, err := p.totalDisk(ctx)
	if err != nil {
		return info, err
	}
	rt := p.runtime.Info()
	if cfg.Name != "" {
		info.Hostname = cfg.Name
	}
	info.Version, info.StopAfter = cfg.Version, cfg.StopAfter
	info.Capacity.Disk = total
	info.Storage, info.DiskQuota, info.VolumeQuota = cfg.Storage.Kind, p.images.DiskQuota(), p.volumes.Quota()
	info.Runtime, info.CgroupVersion, info.Seccomp = rt.Runtime, rt.CgroupVersion, rt.Seccomp
	info.Init, info.Warnings = rt.Init, rt.Warnings
	info.NICTags, info.Underlay = sortedTags(cfg.NICTags), cfg.Fabric.Address
	info.MetricsAddress = metricsAddress(cfg.MetricsListen, cfg.Advertise)
	return info, nil
}

func (p *parts) totalDisk(ctx context.Context) (int64, error) {
	if p.pool == nil {
		total, _, err := diskSpace(p.stateDir)
		return total, err
	}
	used, available, err := p.pool.Space(ctx)
	return used + available, err
}
