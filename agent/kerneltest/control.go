package kerneltest

import (
	"context"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

func (d *runtimeDriver) Pause(_ context.Context, id string) error {
	return d.do(d.life, "pause", func() error {
		switch p := d.running[id]; {
		case p == nil || ended(p.body):
			return model.Errorf(model.KindConflict, "container %s is not running", id)
		case d.frozen[id]:
			return model.Errorf(model.KindConflict, "Container %s is already paused", id)
		}
		d.frozen[id] = true
		return nil
	})
}

func (d *runtimeDriver) Unpause(_ context.Context, id string) error {
	return d.do(d.life, "unpause", func() error {
		p := d.running[id]
		if p == nil || !d.frozen[id] {
			return model.Errorf(model.KindConflict, "Container %s is not paused", id)
		}
		delete(d.frozen, id)
		for _, sig := range p.pending {
			p.body.Signal(sig)
		}
		p.pending = nil
		return nil
	})
}

func (d *runtimeDriver) Update(_ context.Context, id string, l *model.Limits) error {
	return d.do(d.life, "update", func() error {
		if p := d.running[id]; p == nil || ended(p.body) {
			return model.Errorf(model.KindConflict, "container %s is not running", id)
		}
		d.limits[id] = *l
		return nil
	})
}

func (d *runtimeDriver) Stats(_ context.Context, id string) (model.Stats, error) {
	return model.Stats{
		Read: time.Now(), CgroupVersion: 2, CPU: model.CPUStats{Total: 7, Online: 4},
		Networks: map[string]model.NetStats{"eth0": {RxBytes: 11}},
	}, nil
}

func (d *runtimeDriver) LogDir(id string) string {
	if d.files != "" {
		return d.Dir("log", id)
	}
	return "/log/" + id
}

// Probe ends with what SetHealth says.
func (d *runtimeDriver) Probe(ctx context.Context, id string, args []string) (int, []byte, error) {
	d.mu.Lock()
	code, hung, runs := d.healthy[id], d.hung[id], d.running[id] != nil
	d.probes[id]++
	if d.frozen[id] {
		d.violate("probing %s while it is frozen", id)
	}
	d.mu.Unlock()
	switch {
	case !runs:
		return -1, nil, model.Errorf(model.KindConflict, "container %s is not running", id)
	case hung:
		<-ctx.Done()
		return -1, []byte("wait"), ctx.Err()
	}
	return code, []byte(args[len(args)-1]), nil
}

// SetHealth decides how a container's health checks end from now on. One that
// hangs does so until it is told to end.
func (k *Kernel) SetHealth(id string, exitCode int, hangs bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.healthy[id], k.hung[id] = exitCode, hangs
}

// Probes is how often a container was probed.
func (k *Kernel) Probes(id string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.probes[id]
}

// Frozen tells whether a container's processes are held back.
func (k *Kernel) Frozen(id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.frozen[id]
}

// Limits are those that the kernel enforces on a running container.
func (k *Kernel) Limits(id string) model.Limits {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.limits[id]
}
