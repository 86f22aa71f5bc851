package dockerapi

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func (f *fake) Pause(_ context.Context, _ model.Account, ref string) error {
	return f.change("pause", ref, func(c *model.Container) error {
		if c.State.Status != model.StatusRunning {
			return model.Errorf(model.KindConflict, "Container %s is not running", c.ID)
		}
		c.State.Status = model.StatusPaused
		return nil
	})
}

func (f *fake) Unpause(_ context.Context, _ model.Account, ref string) error {
	return f.change("unpause", ref, func(c *model.Container) error {
		if c.State.Status != model.StatusPaused {
			return model.Errorf(model.KindConflict, "Container %s is not paused", c.ID)
		}
		c.State.Status = model.StatusRunning
		return nil
	})
}

func (f *fake) Update(_ context.Context, _ model.Account, ref string, change func(*model.Limits) error, restart *model.RestartPolicy) ([]string, error) {
	return nil, f.change("update", ref, func(c *model.Container) error {
		limits := c.Spec.Limits
		if change != nil {
			if err := change(&limits); err != nil {
				return err
			}
		}
		c.Spec.Limits = limits
		if restart != nil {
			c.Spec.Restart = *restart
		}
		return nil
	})
}

func (f *fake) Prune(_ context.Context, _ model.Account, want func(*model.Container) bool) ([]string, int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, "prune")
	var removed []string
	f.containers = slices.DeleteFunc(f.containers, func(c *model.Container) bool {
		if c.State.Status.Running() || !want(c) {
			return false
		}
		removed = append(removed, c.ID)
		return true
	})
	f.changedNow()
	return removed, int64(len(removed)) * 1000, f.fail
}

func (f *fake) RemoveLink(_ context.Context, _ model.Account, ref, alias string) error {
	return f.change("unlink "+alias, ref, func(c *model.Container) error {
		c.Spec.Links = slices.DeleteFunc(slices.Clone(c.Spec.Links), func(l model.Link) bool { return l.Alias == alias })
		return nil
	})
}

// Stats counts up with each sample.
func (f *fake) Stats(_ context.Context, _ model.Account, ref string) (model.Container, model.Stats, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.find(ref)
	if err != nil {
		return model.Container{}, model.Stats{}, err
	}
	if !c.State.Status.Running() {
		return model.Container{}, model.Stats{}, model.Errorf(model.KindConflict, "Container %s is not running", c.ID)
	}
	f.sampled++
	n := uint64(f.sampled)
	version := max(f.cgroups, 1)
	return *c, model.Stats{
		Read: time.Unix(1_700_000_000+int64(n), 0).UTC(), CgroupVersion: version,
		CPU:    model.CPUStats{Total: n * 1000, User: n * 700, Kernel: n * 300, System: n * 1_000_000, Online: 4},
		Memory: model.MemStats{Usage: 2 << 20, Limit: 64 << 20, Detail: map[string]uint64{"inactive_file": 4096}},
		Pids:   model.PidsStats{Current: 3, Limit: 50},
		Blkio:  model.BlkStats{Bytes: []model.BlkEntry{{Major: 8, Op: "read", Value: n}}},
		Networks: map[string]model.NetStats{
			"eth0": {RxBytes: n * 10, RxPackets: n, TxBytes: n * 20, TxPackets: n},
		},
	}, nil
}

func (f *fake) Health(_ context.Context, c model.Container) (model.Health, error) {
	if c.State.Health == nil {
		return model.Health{}, nil
	}
	health := *c.State.Health
	health.Log = append(health.Log, model.HealthProbe{Start: c.Created, End: c.Created.Add(time.Second), Output: "all is well"})
	return health, nil
}

func (f *fake) Sizes(_ context.Context, _ model.Account, ids []string) (map[string]model.ContainerSize, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sampled++
	sizes := map[string]model.ContainerSize{}
	for _, id := range ids {
		sizes[id] = model.ContainerSize{RW: 1000, Root: 4_201_000}
	}
	return sizes, nil
}

func (f *fake) StatPath(ctx context.Context, a model.Account, ref, path string) (model.PathStat, error) {
	c, err := f.Get(ctx, a, ref)
	if err != nil {
		return model.PathStat{}, err
	}
	if !strings.HasPrefix(path, "/there") {
		return model.PathStat{}, model.Errorf(model.KindNotFound, "Could not find the file %s in container %s", path, c.ID)
	}
	return model.PathStat{Name: "there", Size: 5, Mode: 0o755, Mtime: time.Unix(1_700_000_000, 0).UTC(), LinkTarget: ""}, nil
}

func (f *fake) ReadArchive(ctx context.Context, a model.Account, ref, path string) (wire.Archive, error) {
	stat, err := f.StatPath(ctx, a, ref, path)
	if err != nil {
		return wire.Archive{}, err
	}
	return wire.Archive{Stat: stat, ReadCloser: f.archiveBody()}, nil
}

// archiveBody is a few bytes, or what the test put in its place.
func (f *fake) archiveBody() io.ReadCloser {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.archive != nil {
		return io.NopCloser(f.archive)
	}
	return io.NopCloser(strings.NewReader("a tar archive"))
}

func (f *fake) WriteArchive(ctx context.Context, a model.Account, ref string, r wire.WriteArchiveRequest, tar io.Reader) error {
	var body bytes.Buffer
	if _, err := io.Copy(&body, tar); err != nil {
		return err
	}
	return f.change("write "+r.Path, ref, func(*model.Container) error {
		f.unpacked, f.written = r, body.Bytes()
		return nil
	})
}

func (f *fake) Export(ctx context.Context, a model.Account, ref string) (io.ReadCloser, error) {
	if _, err := f.Get(ctx, a, ref); err != nil {
		return nil, err
	}
	return f.archiveBody(), nil
}

func (f *fake) Changes(ctx context.Context, a model.Account, ref string) ([]model.FileChange, error) {
	if _, err := f.Get(ctx, a, ref); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.differences, nil
}

func (f *fake) Commit(_ context.Context, _ model.Account, ref string, r CommitRequest) (string, error) {
	f.committed = r
	return f.images[0].ID, f.change("commit", ref, func(*model.Container) error { return nil })
}

func (f *fake) Networks(context.Context, model.Account) ([]model.Network, error) {
	return append([]model.Network{fakeNetwork}, f.networks...), nil
}

func (f *fake) CreateNetwork(_ context.Context, a model.Account, n model.Network) (model.Network, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n.ID, n.AccountID, n.Kind = strings.Repeat("f", 64), a.ID, model.NetworkFabric
	if !n.Subnet.IsValid() {
		n.Subnet, n.Gateway = netip.MustParsePrefix("172.18.0.0/16"), netip.MustParseAddr("172.18.0.1")
	}
	f.networks = append(f.networks, n)
	return n, nil
}

func (f *fake) RemoveNetwork(_ context.Context, _ model.Account, ref string) error {
	f.networks = slices.DeleteFunc(f.networks, func(n model.Network) bool { return n.ID == ref || n.Name == ref })
	return nil
}

func (f *fake) NetworkPools(context.Context, model.Account) ([]NetworkPool, error) {
	return f.pools, nil
}

func (f *fake) PruneNetworks(_ context.Context, _ model.Account, want func(*model.Network) bool) (removed []string, err error) {
	for i := range f.networks {
		if want(&f.networks[i]) {
			removed = append(removed, f.networks[i].Name)
		}
	}
	f.networks = nil
	return removed, nil
}

func (f *fake) Connect(_ context.Context, _ model.Account, ref string, e model.Endpoint) error {
	return f.change("connect", ref, func(*model.Container) error { f.endpoint = e; return nil })
}

func (f *fake) Disconnect(_ context.Context, _ model.Account, ref, network string, _ bool) error {
	return f.change("disconnect", ref, func(*model.Container) error { f.endpoint = model.Endpoint{Network: network}; return nil })
}

func (f *fake) PruneImages(_ context.Context, _ model.Account, want func(Image) bool) ([]RemovedImage, int64, error) {
	var removed []RemovedImage
	for _, i := range f.images {
		if want(i) {
			removed = append(removed, RemovedImage{Untagged: []string{"busybox:latest"}, Deleted: []string{i.ID}})
		}
	}
	return removed, int64(len(removed)) * 4_200_000, nil
}
