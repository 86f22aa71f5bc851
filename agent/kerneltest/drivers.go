package kerneltest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spearheadcloud/spearhead/agent"
	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network"
	"github.com/spearheadcloud/spearhead/network/names"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// Drivers returns drivers for one agent. life decides about each step before
// and after it is taken; nil lets all pass.
func (k *Kernel) Drivers(life *Life) agent.Drivers {
	if life == nil {
		life = NewLife(0)
	}
	return agent.Drivers{Runtime: &runtimeDriver{k, life}, Images: &imageDriver{k, life}, Network: &networkDriver{k, life}, Volumes: &volumeDriver{k, life}}
}

// do takes one step in the kernel.
func (k *Kernel) do(life *Life, name string, f func() error) error {
	return life.Step(name, func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		return f()
	})
}

type runtimeDriver struct {
	*Kernel
	life *Life
}

func (d *runtimeDriver) Register(_ context.Context, id string, _ *model.ContainerSpec) error {
	return d.do(d.life, "register", func() error {
		if d.registered[id] == nil {
			d.registered[id] = wiretest.NewProcess()
		}
		return nil
	})
}

func (d *runtimeDriver) Start(_ context.Context, r runtime.StartRequest) (started runtime.Process, err error) {
	err = d.do(d.life, "start", func() error {
		p := d.registered[r.ID]
		switch {
		case p == nil || d.running[r.ID] != nil || d.bundles[r.ID]:
			return d.violate("start of %s: registered %t, running %t, left over %t", r.ID, p != nil, d.running[r.ID] != nil, d.bundles[r.ID])
		case !d.mounts[r.ID]:
			return d.violate("start of %s without its root", r.ID)
		case strings.HasPrefix(r.Netns, "/sandbox/") && d.sandboxes[r.ID] == nil:
			return d.violate("start of %s without its network", r.ID)
		}
		if args := r.Spec.Args(); len(args) > 0 && args[0] == "missing" {
			return model.Errorf(model.KindInvalid, "failed to create task for container: exec: %q: executable file not found in $PATH", args[0])
		}
		if ended(p) {
			p = wiretest.NewProcess()
			d.registered[r.ID] = p
		}
		d.nextPid++
		started = runtime.Process{ID: r.ID, Run: r.Run, Pid: d.nextPid, StartTicks: uint64(d.nextPid), StartedAt: time.Now()}
		running := &process{Process: started, body: p}
		d.running[r.ID], d.bundles[r.ID] = running, true
		d.limits[r.ID] = r.Spec.Limits
		p.Start()
		d.waiters.Go(func() { d.reap(running) })
		return nil
	})
	return started, err
}

func ended(p *wiretest.Process) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

func (d *runtimeDriver) Signal(_ context.Context, id string, sig syscall.Signal) error {
	return d.do(d.life, "signal", func() error {
		p := d.running[id]
		if p == nil || ended(p.body) {
			return model.Errorf(model.KindConflict, "container %s is not running", id)
		}
		if d.frozen[id] {
			p.pending = append(p.pending, sig)
			return nil
		}
		p.body.Signal(sig)
		return nil
	})
}

func (d *runtimeDriver) Exits(ctx context.Context) (<-chan runtime.Exit, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := make(chan runtime.Exit, 10000)
	for _, e := range d.exits {
		l <- e
	}
	d.listeners[l] = true
	context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.listeners, l)
	})
	return l, nil
}

func (d *runtimeDriver) AckExit(_ context.Context, id, run string) error {
	return d.do(d.life, "ack", func() error {
		d.exits = slices.DeleteFunc(d.exits, func(e runtime.Exit) bool { return e.ID == id && e.Run == run })
		return nil
	})
}

func (d *runtimeDriver) Running(context.Context) ([]runtime.Process, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []runtime.Process
	for _, p := range d.running {
		all = append(all, p.Process)
	}
	return all, nil
}

func (d *runtimeDriver) Clean(_ context.Context, id string) error {
	return d.do(d.life, "clean", func() error {
		if d.running[id] != nil {
			return d.violate("cleaning %s while it runs", id)
		}
		delete(d.bundles, id)
		return nil
	})
}

func (d *runtimeDriver) Unregister(_ context.Context, id string) error {
	return d.do(d.life, "unregister", func() error {
		if d.running[id] != nil {
			return d.violate("forgetting %s while it runs", id)
		}
		delete(d.registered, id)
		return nil
	})
}

func (d *runtimeDriver) process(id string) (*wiretest.Process, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.registered[id]; p != nil {
		return p, nil
	}
	return nil, model.Errorf(model.KindNotFound, "No such container: %s", id)
}

func (d *runtimeDriver) Attach(ctx context.Context, id string, o runtime.AttachOptions) (runtime.Stream, error) {
	p, err := d.process(id)
	if err != nil {
		return nil, err
	}
	return p.Attach(ctx, o.Logs), nil
}

func (d *runtimeDriver) Resize(context.Context, string, uint16, uint16) error { return nil }

func (d *runtimeDriver) Logs(ctx context.Context, id string, o runtime.LogOptions) (io.ReadCloser, error) {
	p, err := d.process(id)
	if err != nil {
		return nil, err
	}
	return p.Log(ctx, o.Follow), nil
}

func (d *runtimeDriver) Top(_ context.Context, id, psArgs string) ([]string, [][]string, error) {
	return []string{"PID", "CMD"}, [][]string{{fmt.Sprint(d.Pid(id)), "cat " + psArgs}}, nil
}

func (d *runtimeDriver) ExecStart(ctx context.Context, container string, s runtime.ExecSpec) (runtime.Stream, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running[container] == nil {
		return nil, model.Errorf(model.KindConflict, "container %s is not running", container)
	}
	x := &exec{container, wiretest.NewProcess()}
	x.Start()
	d.execs[s.ID] = x
	if s.Detach {
		return nil, nil
	}
	return x.Attach(ctx, true), nil
}

func (d *runtimeDriver) ExecResize(context.Context, string, uint16, uint16) error { return nil }

func (d *runtimeDriver) ExecWait(ctx context.Context, id string) (runtime.ExecState, error) {
	d.mu.Lock()
	x := d.execs[id]
	d.mu.Unlock()
	if x != nil {
		select {
		case <-x.Done():
		case <-ctx.Done():
			return runtime.ExecState{}, ctx.Err()
		}
	}
	return d.ExecState(ctx, id)
}

func (d *runtimeDriver) ExecState(_ context.Context, id string) (runtime.ExecState, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.execs[id]
	if x == nil {
		return runtime.ExecState{}, model.Errorf(model.KindNotFound, "No such exec instance: %s", id)
	}
	if !ended(x.Process) {
		return runtime.ExecState{Running: true, Pid: 2000}, nil
	}
	code := x.ExitCode()
	return runtime.ExecState{ExitCode: &code}, nil
}

type imageDriver struct {
	*Kernel
	life *Life
}

func (d *imageDriver) PrepareRoot(_ context.Context, id, image string, _ int64) error {
	return d.do(d.life, "prepare", func() error {
		if !d.images[image] {
			return model.Errorf(model.KindNotFound, "No such image: %s", image)
		}
		d.roots[id] = image
		return nil
	})
}

func (d *imageDriver) MountRoot(_ context.Context, id string) (string, error) {
	return "/root/" + id, d.do(d.life, "mount", func() error {
		if d.roots[id] == "" {
			return d.violate("mounting the root of %s, which has none", id)
		}
		d.mounts[id] = true
		return nil
	})
}

func (d *imageDriver) UnmountRoot(_ context.Context, id string) error {
	return d.do(d.life, "unmount", func() error {
		if d.running[id] != nil {
			return d.violate("unmounting the root of %s while it runs", id)
		}
		delete(d.mounts, id)
		return nil
	})
}

func (d *imageDriver) RemoveRoot(_ context.Context, id string) error {
	return d.do(d.life, "remove-root", func() error {
		if d.mounts[id] {
			return d.violate("removing the root of %s while it is mounted", id)
		}
		delete(d.roots, id)
		return nil
	})
}

func (d *imageDriver) Roots(context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return keys(d.roots), nil
}

func (d *imageDriver) List(context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return keys(d.images), nil
}

func (d *imageDriver) Remove(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.images[id] {
		return model.Errorf(model.KindNotFound, "No such image: %s", id)
	}
	delete(d.images, id)
	return nil
}

func (d *imageDriver) Pull(ctx context.Context, r image.PullRequest, progress func(image.Progress)) (model.Image, string, bool, error) {
	progress(image.Progress{Layer: "0123456789ab", Status: "Downloading", Current: 1, Total: 2})
	switch r.Ref {
	case wiretest.GoodRef:
		d.mu.Lock()
		defer d.mu.Unlock()
		isNew := !d.images[wiretest.ImageID]
		d.images[wiretest.ImageID] = true
		return model.Image{ID: wiretest.ImageID, OS: "linux"}, wiretest.ImageID, isNew, nil
	case wiretest.EndlessRef:
		<-ctx.Done()
		return model.Image{}, "", false, ctx.Err()
	}
	return model.Image{}, "", false, model.Errorf(model.KindNotFound, "manifest for %s not found", r.Ref)
}

type networkDriver struct {
	*Kernel
	life *Life
}

func (d *networkDriver) Attach(_ context.Context, a network.Attachment) (string, error) {
	return "/sandbox/" + a.Container, d.do(d.life, "attach", func() error {
		networks := []string{}
		for _, nic := range a.NICs {
			networks = append(networks, nic.NetworkID)
		}
		d.sandboxes[a.Container] = networks
		return nil
	})
}

func (d *networkDriver) Detach(_ context.Context, id string) error {
	return d.do(d.life, "detach", func() error {
		if d.running[id] != nil {
			return d.violate("detaching %s while it runs", id)
		}
		delete(d.sandboxes, id)
		return nil
	})
}

func (d *networkDriver) Sandboxes(context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return keys(d.sandboxes), nil
}

func (d *networkDriver) SetNetworks(context.Context, model.NetworkState) error {
	return nil // nothing that a container holds
}

func (d *networkDriver) Names(context.Context) (names.Stats, error) { return names.Stats{}, nil }

func keys[V any](m map[string]V) []string {
	all := []string{}
	for k := range m {
		all = append(all, k)
	}
	return all
}
