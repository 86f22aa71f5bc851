package endtoend

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// worker makes a file, counts in its log and ends with 7 when it is asked to.
const worker = `echo made > /made; trap "exit 7" TERM; i=0; while :; do i=$((i+1)); echo $i; usleep 2000; done`

// oldLimit and newLimit are of memory, before and after an update.
const oldLimit, newLimit = 256 << 20, 128 << 20

// crash is one place to die at, in one operation.
type crash struct {
	operation string
	point     string
	runs      bool // there may be a process by then
	// before brings a container, that does not exist yet, to where the
	// operation is asked for.
	before func(n *node, r wire.CreateRequest)
	ask    func(ctx context.Context, n *node, r wire.CreateRequest) error
}

// crashes are all of them.
func crashes() (all []crash) {
	add := func(operation string, before func(*node, wire.CreateRequest), ask func(context.Context, *node, wire.CreateRequest) error, points ...string) {
		for _, point := range points {
			runs := operation != "create" && (operation != "start" || point == "runtime.start.begun" || point == "agent/start-running")
			all = append(all, crash{operation, point, runs, before, ask})
		}
	}
	forced := wire.RemoveRequest{Force: true}
	limits := model.ContainerUpdate{Limits: &model.Limits{Memory: newLimit, MemorySwap: -1}}
	add("create", nothing, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		_, err := n.client.Create(ctx, r)
		return err
	}, "agent/create-recorded", "agent/create-root", "agent/create-registered", "image.root.made",
		"agent/create-volumes", "volumes.make", "volumes.filling", "volumes.filled")
	add("start", create, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		_, err := n.client.Start(ctx, r.Container.ID)
		return err
	}, "agent/start-recorded", "agent/start-root", "agent/start-network", "agent/start-volumes", "agent/start-prepared", "runtime.start.bundled", "runtime.start.begun", "agent/start-running",
		"iod/start-recorded", "iod/runtime-begun", "iod/start-created", "iod/start-supervised", "iod/start-released")
	add("pause", start, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		_, err := n.client.Pause(ctx, r.Container.ID)
		return err
	}, "agent/pause-recorded", "runtime.pause", "agent/pause-frozen")
	add("unpause", pause, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		_, err := n.client.Unpause(ctx, r.Container.ID)
		return err
	}, "agent/unpause-recorded", "runtime.unpause", "agent/unpause-thawed")
	add("update", start, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		_, err := n.client.Update(ctx, r.Container.ID, limits)
		return err
	}, "agent/update-recorded", "runtime.update", "cgroup.set", "agent/update-applied")
	add("connect", start, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		nic, alley := alleyNIC(n)
		_, err := n.client.Connect(ctx, r.Container.ID, wire.ConnectRequest{NIC: nic, Network: alley})
		return err
	}, "agent/rewire-recorded", "network/attach/after-record", "network/attach/after-names", "network/attach/after-firewall", "network/attach/after-guard",
		"network/attach/after-veth", "network/attach/after-sentry", "agent/rewire-applied")
	add("disconnect", start, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		_, err := n.client.Disconnect(ctx, r.Container.ID, wire.DisconnectRequest{NetworkID: street.ID})
		return err
	}, "agent/rewire-recorded", "network/attach/after-unplug", "agent/rewire-applied")
	add("restart", start, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		_, err := n.client.Restart(ctx, r.Container.ID, wire.StopRequest{})
		return err
	}, "agent/exit-recorded", "runtime.clean", "agent/start-recorded", "runtime.start.begun", "agent/start-running")
	add("stop", start, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		_, err := n.client.Stop(ctx, r.Container.ID, wire.StopRequest{})
		return err
	}, "agent/exit-recorded", "runtime.clean", "network/detach/before-namespace")
	add("remove", start, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		_, err := n.client.Remove(ctx, r.Container.ID, forced)
		return err
	}, "agent/exit-recorded", "agent/remove-recorded", "agent/remove-parts")
	add("commit", start, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		_, err := n.client.Commit(ctx, r.Container.ID, wire.CommitRequest{Pause: true, Created: time.Now()})
		return err
	}, "agent/root-mounted", "agent/pause-frozen", "image.commit.packed", "image.commit.unpacked", "agent/unpause-recorded")
	add("health", createChecked, func(ctx context.Context, n *node, r wire.CreateRequest) error {
		_, err := n.client.Start(ctx, r.Container.ID)
		return err
	}, "agent/health-found")
	return all
}

// alleyNIC is a NIC on another network of the same wire.
func alleyNIC(n *node) (model.NIC, model.Network) {
	n.nextHost++
	alley := street
	alley.ID, alley.Name = "alley", "alley"
	return model.NIC{
		NetworkID: alley.ID, Interface: "eth1", MAC: fmt.Sprintf("02:00:0a:4d:01:%02x", n.nextHost),
		Address: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, 0, n.nextHost}), 24), Firewall: true,
	}, alley
}

func nothing(*node, wire.CreateRequest) {}

func create(n *node, r wire.CreateRequest) {
	n.Helper()
	_, err := n.client.Create(n.Context(), r)
	n.ok(err)
}

func createChecked(n *node, r wire.CreateRequest) {
	n.Helper()
	r.Container.Spec.Healthcheck = &model.Healthcheck{Test: []string{"CMD", "true"}, Interval: 50 * time.Millisecond}
	create(n, r)
}

func start(n *node, r wire.CreateRequest) {
	n.Helper()
	create(n, r)
	_, err := n.client.Start(n.Context(), r.Container.ID)
	n.ok(err)
	n.eventually("the container's first line", func() bool { return n.text(r.Container.ID) != "" })
}

func pause(n *node, r wire.CreateRequest) {
	n.Helper()
	start(n, r)
	_, err := n.client.Pause(n.Context(), r.Container.ID)
	n.ok(err)
}

// TestKilledAtEveryFailpoint kills the agent, or iod, in the middle of each
// operation; and the agent in its middle and iod after that. The next agent
// finds everything that was acknowledged, tells of each end with its exit code,
// has every line that was logged, and leaves nothing when the container is
// removed.
func TestKilledAtEveryFailpoint(t *testing.T) {
	n := newNode(t)
	n.start("")
	n.pull()
	for _, c := range crashes() {
		t.Run(c.operation+" "+strings.TrimPrefix(c.point, "agent/"), func(t *testing.T) {
			n.TB = t
			n.crash(c, false)
			if c.runs && !strings.HasPrefix(c.point, "iod/") {
				n.crash(c, true)
			}
		})
		if t.Failed() {
			return // what is left of this one would only confuse
		}
	}
}

// crash carries out one operation under its failpoint; with both, iod dies
// after the agent.
func (n *node) crash(c crash, both bool) {
	n.Helper()
	r := n.request(worker)
	r.Container.Spec.Limits = model.Limits{Memory: oldLimit, MemorySwap: -1}
	id := r.Container.ID
	volume := id[:32]
	mountPrograms(&r, volume)
	c.before(n, r)
	before, existed := n.container(id)
	log := n.text(id)
	n.kill()
	inIod := strings.HasPrefix(c.point, "iod/")
	if inIod {
		n.killIod() // the next one is armed
	}

	n.start(c.point + "=kill")
	ctx, cancel := context.WithTimeout(n.Context(), 30*time.Second)
	defer cancel()
	err := c.ask(ctx, n, r)
	if inIod {
		n.kill()
	} else {
		n.diedByItself()
	}
	if both || inIod {
		n.killIod()
	}

	n.start("")
	n.judge(c, r, before, existed, err == nil, log)
	_, err = n.client.Remove(n.Context(), id, wire.RemoveRequest{Force: true})
	n.ok(err)
	n.wantStory(id)
	if c.operation == "create" { // what it has left of its volume is a volume that works
		again := n.request(worker)
		mountPrograms(&again, volume)
		start(n, again)
		_, err = n.client.Remove(n.Context(), again.Container.ID, wire.RemoveRequest{Force: true})
		n.ok(err)
	}
	n.ok(n.client.RemoveVolume(n.Context(), volume))
	if ids, err := n.client.Volumes(n.Context()); err != nil || len(ids) > 0 {
		n.Errorf("left over are the volumes %v, %v", ids, err)
	}
	n.wantNothingLeft()
	n.hear()
}

// mountPrograms lets a container have its programs, the shell among them, from a
// volume that is filled from the image, and one of them from a part of it.
func mountPrograms(r *wire.CreateRequest, volume string) {
	r.Volumes = []wire.VolumeRef{{ID: volume}}
	r.Container.Spec.Mounts = []model.Mount{
		{Type: model.MountVolume, VolumeID: volume, Source: "bin", Target: "/bin"},
		{Type: model.MountVolume, VolumeID: volume, Source: "bin", Target: "/part", Subpath: "busybox"},
	}
}

// judge checks what an agent has made of what a dead one left. answered says
// whether the operation was.
func (n *node) judge(c crash, r wire.CreateRequest, before model.ContainerState, existed, answered bool, log string) {
	n.Helper()
	id := r.Container.ID
	s, there := n.container(id)
	if c.operation == "restart" { // it is finished
		n.eventually("the restart to be finished", func() bool {
			s, there = n.container(id)
			return s.Status == model.StatusRunning
		})
	}
	switch {
	case !there && (existed || answered) && c.operation != "remove":
		n.Errorf("the container is lost")
	case !there:
		return
	case c.operation == "remove":
		n.Errorf("the container that was to be removed is %s", s.Status)
	}
	if !strings.HasPrefix(n.text(id), log) {
		n.Errorf("of %d bytes of the log some are lost", len(log))
	}
	if !s.Status.Running() {
		if before.Pid != 0 && c.operation != "stop" {
			n.Errorf("a container that ran is %+v", s)
		}
		return
	}
	if before.Pid != 0 && c.operation != "restart" && s.Pid != before.Pid {
		n.Errorf("process %d became %d", before.Pid, s.Pid)
	}
	n.wantAsTheKernel(c, id, s)
	n.wantGoesOn(id)
}

// wantAsTheKernel compares what is said of a container that runs with what the
// kernel has.
func (n *node) wantAsTheKernel(c crash, id string, s model.ContainerState) {
	n.Helper()
	if unix.Kill(s.Pid, 0) != nil {
		n.Errorf("the container is %+v and has no process", s)
		return
	}
	if frozen := n.group(s.Pid, "freezer", "freezer.state", "cgroup.freeze"); (frozen == "FROZEN" || frozen == "1") != (s.Status == model.StatusPaused) {
		n.Errorf("the container is %s, the kernel's freezer %s", s.Status, frozen)
	}
	want := oldLimit
	if _, told := n.last(id, "update"); told {
		want = newLimit
	}
	if got := n.group(s.Pid, "memory", "memory.limit_in_bytes", "memory.max"); got != strconv.Itoa(want) {
		n.Errorf("after the %s the limit is %s, want %d", c.operation, got, want)
	}
}

// wantGoesOn checks that a container does its work, and ends as it should.
func (n *node) wantGoesOn(id string) {
	n.Helper()
	if s, _ := n.container(id); s.Status == model.StatusPaused {
		_, err := n.client.Unpause(n.Context(), id)
		n.ok(err)
	}
	before := n.text(id)
	n.eventually("more of the log", func() bool { return len(n.text(id)) > len(before) })
	_, err := n.client.Stop(n.Context(), id, wire.StopRequest{})
	n.ok(err)
	s, _ := n.container(id)
	if s.ExitCode != 7 || s.ExitUnknown || s.Status != model.StatusExited {
		n.Errorf("the stopped container is %+v", s)
	}
	if !strings.HasPrefix(n.text(id), before) {
		n.Errorf("of %d bytes of the log some are lost", len(before))
	}
}

// wantStory checks that the journal tells a life that can have been: starts and
// ends in turn, with the exit codes that the worker has.
func (n *node) wantStory(id string) {
	n.Helper()
	running := false
	for _, e := range n.story(id) {
		switch e.Action {
		case "start":
			if running {
				n.Errorf("a second start without an end in between")
			}
			running = true
		case "die":
			code := e.Attributes["exitCode"]
			ended := running && !e.State.ExitUnknown && (code == "7" || code == "137")
			failedToStart := !running && code == "128"
			if !ended && !failedToStart {
				n.Errorf("an end with code %s, running %t: %+v", code, running, e.State)
			}
			running = false
		}
	}
	if running {
		n.Error("the journal does not tell of the end")
	}
}

// story is what the journal has told of a container.
func (n *node) story(id string) (told []model.JournalEntry) {
	n.Helper()
	entries, _ := n.journal()
	for _, e := range entries {
		if e.ContainerID == id {
			told = append(told, e)
		}
	}
	return told
}

// journal is what has been told since the node was heard, and its epoch.
func (n *node) journal() ([]model.JournalEntry, string) {
	n.Helper()
	s, err := n.client.Journal(n.Context(), n.heard)
	n.ok(err)
	defer s.Close()
	batch, err := s.Next() // one is enough for what a few containers do
	n.ok(err)
	return batch, s.Epoch()
}

// hear takes note of all that the journal has told.
func (n *node) hear() {
	n.Helper()
	if entries, epoch := n.journal(); len(entries) > 0 {
		n.heard = wire.Ack{Epoch: epoch, Seq: entries[len(entries)-1].Seq}
	}
}

func (n *node) last(id, action string) (last model.JournalEntry, found bool) {
	n.Helper()
	for _, e := range n.story(id) {
		if e.Action == action {
			last, found = e, true
		}
	}
	return last, found
}

// text is a container's log; "" where there is none.
func (n *node) text(id string) string {
	n.Helper()
	log, err := n.client.Logs(n.Context(), id, wire.LogsRequest{Stdout: true, Stderr: true, Tail: -1})
	if model.IsKind(err, model.KindNotFound) {
		return ""
	}
	n.ok(err)
	defer log.Close()
	return n.output(log, "")
}

// group reads a file of the control group that a process is in, of version 1
// or 2.
func (n *node) group(pid int, controller, version1, version2 string) string {
	n.Helper()
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	n.ok(err)
	path := ""
	for line := range strings.Lines(strings.TrimSpace(string(groups))) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if file := filepath.Join("/sys/fs/cgroup", controller, parts[2], version1); parts[1] == controller {
			path = file
		} else if parts[1] == "" && path == "" {
			path = filepath.Join("/sys/fs/cgroup", parts[2], version2)
		}
	}
	content, err := os.ReadFile(path)
	n.ok(err)
	return strings.TrimSpace(string(content))
}

// killIod kills the node's supervisors and waits until they are gone.
func (n *node) killIod() {
	n.Helper()
	alive := func() []string {
		out, err := exec.Command("pgrep", "-f", "iod --run-dir "+n.cfg.RunDir).Output()
		if err != nil {
			return nil // there is none
		}
		return strings.Fields(string(out))
	}
	for _, pid := range alive() {
		number, err := strconv.Atoi(pid)
		n.ok(err)
		unix.Kill(number, unix.SIGKILL)
	}
	n.eventually("iod to be gone", func() bool { return len(alive()) == 0 })
}

func (n *node) eventually(what string, ok func() bool) {
	n.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			n.Fatalf("waited in vain for %s", what)
		}
	}
}
