package main

import (
	"context"
	"path/filepath"
	"time"

	ctdsnapshot "github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/cache/remotecache/inline"
	"github.com/moby/buildkit/cache/remotecache/local"
	"github.com/moby/buildkit/cache/remotecache/registry"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/frontend"
	"github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway"
	"github.com/moby/buildkit/frontend/gateway/forwarder"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/network/netproviders"
	"github.com/moby/buildkit/version"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"github.com/moby/buildkit/worker/runc"
	bolt "go.etcd.io/bbolt"
)

// newController puts a worker and the Dockerfile front end together. Front
// ends that are images (# syntax=) run as steps of builds do.
func newController(ctx context.Context, f flags) (*control.Controller, error) {
	sessions, err := session.NewManager()
	if err != nil {
		return nil, err
	}
	images := newRegistries(filepath.Join(f.run, "node.sock"))
	w, err := newWorker(ctx, f, images)
	if err != nil {
		return nil, err
	}
	workers := &worker.Controller{}
	if err := workers.Add(w); err != nil {
		return nil, err
	}
	remote, err := gateway.NewGatewayFrontend(workers.Infos(), nil)
	if err != nil {
		return nil, err
	}
	keys, err := bboltcachestorage.NewStore(filepath.Join(f.root, "cache.db"))
	if err != nil {
		return nil, err
	}
	history, err := boltutil.SafeOpen(filepath.Join(f.root, "history.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	return control.NewController(control.Opt{
		SessionManager:   sessions,
		WorkerController: workers,
		Frontends: map[string]frontend.Frontend{
			"dockerfile.v0": forwarder.NewGatewayForwarder(workers.Infos(), builder.Build),
			"gateway.v0":    remote,
		},
		ResolveCacheExporterFuncs: map[string]remotecache.ResolveCacheExporterFunc{
			"registry": registry.ResolveCacheExporterFunc(sessions, images.hosts),
			"local":    local.ResolveCacheExporterFunc(sessions),
			"inline":   inline.ResolveCacheExporterFunc(),
		},
		ResolveCacheImporterFuncs: map[string]remotecache.ResolveCacheImporterFunc{
			"registry": registry.ResolveCacheImporterFunc(sessions, w.ContentStore(), images.hosts),
			"local":    local.ResolveCacheImporterFunc(sessions),
		},
		CacheManager:   solver.NewCacheManager(ctx, "local", keys, worker.NewCacheResultStorage(workers)),
		HistoryDB:      history,
		CacheStore:     keys,
		LeaseManager:   w.LeaseManager(),
		ContentStore:   w.ContentStore(),
		GarbageCollect: w.GarbageCollect,
		GracefulStop:   ctx.Done(),
	})
}

// newWorker makes the one that carries steps out. No entitlements are granted:
// no step is privileged, and none sees another network than the account's.
func newWorker(ctx context.Context, f flags, images *registries) (worker.Worker, error) {
	snapshots := runc.SnapshotterFactory{
		Name: "overlayfs",
		New: func(root string) (ctdsnapshot.Snapshotter, error) {
			return overlay.NewSnapshotter(root, overlay.AsynchronousRemove)
		},
	}
	// BuildKit takes servers on loopback out of resolv.conf, but not out of this.
	var dns *oci.DNSConfig
	if f.nameserver != "" {
		dns = &oci.DNSConfig{Nameservers: []string{f.nameserver}}
	}
	opt, err := runc.NewWorkerOpt(f.root, snapshots, false, oci.ProcessSandbox, nil, nil,
		netproviders.Opt{Mode: "host"}, dns, "", "", false, nil, "", f.cgroup, nil)
	if err != nil {
		return nil, err
	}
	opt.RegistryHosts = images.hosts
	opt.ImageStore = &built{leases: opt.LeaseManager}
	opt.GCPolicy = []client.PruneInfo{
		{Filter: []string{"type==source.local,type==exec.cachemount,type==source.git.checkout"}, KeepDuration: 48 * time.Hour, MaxUsedSpace: f.keepBytes / 4},
		{All: true, MaxUsedSpace: f.keepBytes},
	}
	opt.BuildkitVersion = client.BuildkitVersion{Package: version.Package, Version: version.Version, Revision: version.Revision}
	w, err := base.NewWorker(ctx, opt)
	if err != nil {
		return nil, err
	}
	return &accountWorker{w}, nil
}
