package task

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// evictPatience is how long a removal waits for those who use the root.
const evictPatience = 10 * time.Second

// Root is a container's root in the hands of somebody besides its processes.
type Root struct {
	// Dir is where it is mounted, also for a running container: without what
	// is mounted in there.
	Dir string
	// Pid is the first process of a running container, else 0.
	Pid    int
	Spec   *model.ContainerSpec
	Mounts []RootMount // what the container sees besides its root when it runs
	// Gone ends when the container is removed: the root must be given back.
	Gone context.Context
}

// RootMount is a file tree of the node that is bound into a container.
type RootMount struct {
	Source, Target string
	ReadOnly       bool
}

// rootUse counts who uses a root. The zero value is ready.
type rootUse struct {
	mu    sync.Mutex
	users map[*rootUser]bool
	left  chan struct{} // closed, and made anew, when a user leaves
	// mounted says that the root was mounted for a user and no run has
	// taken it over. It belongs to the task's goroutine.
	mounted bool
}

type rootUser struct{ evict context.CancelFunc }

func (u *rootUse) enter(user *rootUser) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.users == nil {
		u.users, u.left = make(map[*rootUser]bool), make(chan struct{})
	}
	u.users[user] = true
}

func (u *rootUse) leave(user *rootUser) {
	u.mu.Lock()
	defer u.mu.Unlock()
	user.evict()
	delete(u.users, user)
	close(u.left)
	u.left = make(chan struct{})
}

func (u *rootUse) inUse() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.users) > 0
}

// evictAll tells all users to leave and waits until they have, or ctx ends.
func (u *rootUse) evictAll(ctx context.Context) {
	for {
		u.mu.Lock()
		for user := range u.users {
			user.evict()
		}
		left, done := u.left, len(u.users) == 0
		u.mu.Unlock()
		if done {
			return
		}
		select {
		case <-left:
		case <-ctx.Done():
			return
		}
	}
}

// UseRoot mounts the container's root, if it is not, until release is called,
// whatever the container does meanwhile. It waits for what the task is busy
// with, also when ctx ends: what was mounted has to be given back.
func (t *Task) UseRoot(ctx context.Context) (r Root, release func(), err error) {
	gone, evict := context.WithCancel(context.WithoutCancel(ctx))
	user := &rootUser{evict}
	_, err = t.call(context.WithoutCancel(ctx), func(reply answer) {
		var err error
		if r, err = t.openRoot(); err == nil {
			t.root.enter(user)
		}
		reply(wire.Ack{}, err)
	})
	if err != nil {
		evict()
		return Root{}, nil, err
	}
	r.Gone = gone
	release = sync.OnceFunc(func() { t.leaveRoot(user) })
	if err := ctx.Err(); err != nil {
		release()
		return Root{}, nil, err
	}
	return r, release, nil
}

func (t *Task) openRoot() (Root, error) {
	switch t.status.Phase {
	case "", state.PhaseCreating, state.PhaseArriving:
		return Root{}, NotFound(t.id)
	case state.PhaseRemoving:
		return Root{}, model.Errorf(model.KindConflict, "container %s is marked for removal: its files cannot be reached any more", t.id)
	}
	ctx, cancel := t.step()
	defer cancel()
	spec, err := t.exposed(ctx, t.spec())
	if err != nil {
		return Root{}, err
	}
	dir, err := t.node.Images.MountRoot(ctx, t.id)
	if err != nil {
		return Root{}, err
	}
	t.root.mounted = true
	r := Root{Dir: dir, Spec: spec, Mounts: t.rootMounts(spec)}
	if t.status.Phase == state.PhaseRunning {
		r.Pid = t.status.State.Pid
	}
	return r, failpoint.Hit("agent/root-mounted")
}

// rootMounts lists what is bound into the container when it runs, by the
// specification whose volumes are paths.
func (t *Task) rootMounts(spec *model.ContainerSpec) (mounts []RootMount) {
	taken := make(map[string]bool)
	for _, m := range spec.Mounts {
		if m.Type != model.MountBind {
			continue
		}
		taken[m.Target] = true
		mounts = append(mounts, RootMount{Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	files := etcPaths(t.node.Dir, t.id)
	if peer, joined := strings.CutPrefix(t.spec().Network, "container:"); joined {
		files = etcPaths(t.node.Dir, peer)
	}
	for target, source := range map[string]string{"/etc/hostname": files.hostname, "/etc/hosts": files.hosts, "/etc/resolv.conf": files.resolvConf} {
		// They are there from the first start on.
		if _, err := os.Lstat(source); err == nil && !taken[target] {
			mounts = append(mounts, RootMount{Source: source, Target: target})
		}
	}
	return mounts
}

// leaveRoot ends one use. Who leaves last has the root unmounted, unless the
// container runs.
func (t *Task) leaveRoot(user *rootUser) {
	t.root.leave(user)
	if t.root.inUse() {
		return
	}
	_, err := t.call(context.Background(), func(reply answer) { reply(wire.Ack{}, t.closeRoot()) })
	if err != nil && !IsOver(err) {
		t.log.Warn("cannot give the root of a container back yet", "op", "files", "err", err)
	}
}

// closeRoot unmounts a root that nobody uses any more.
func (t *Task) closeRoot() error {
	resting := t.status.Phase == state.PhaseIdle || t.status.Phase == state.PhaseWaiting
	if !t.root.mounted || !resting || t.leftovers || t.root.inUse() {
		return nil
	}
	return t.unmountRoot()
}

func (t *Task) unmountRoot() error {
	ctx, cancel := t.step()
	defer cancel()
	err := errors.Join(t.node.Volumes.Conceal(t.id), t.node.Images.UnmountRoot(ctx, t.id))
	if err != nil {
		t.leftovers = true // so that it is tried again
		t.timer.Reset(retryPause)
		return err
	}
	t.root.mounted = false
	return nil
}

// evictRoot ends all uses of the root, before it is removed.
func (t *Task) evictRoot() error {
	if !t.root.mounted {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), evictPatience)
	defer cancel()
	t.root.evictAll(ctx)
	return t.unmountRoot()
}

// Tell writes an entry about the container to the journal.
func (t *Task) Tell(ctx context.Context, action string, attributes ...string) (wire.Ack, error) {
	return t.call(ctx, func(reply answer) {
		if t.absent() {
			reply(wire.Ack{}, NotFound(t.id))
			return
		}
		reply(t.commit(state.Change{Entries: []model.JournalEntry{t.entry(action, nil, attributes...)}}, t.status))
	})
}
