package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/agent"
	"github.com/spearheadcloud/spearhead/agent/kerneltest"
	"github.com/spearheadcloud/spearhead/agent/task"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// pair is two nodes between which a container with a volume moves.
type pair struct {
	from, to *node
	request  wire.CreateRequest // as the old node makes it
	fetch    wire.FetchRequest
	// openFrom and openTo start the nodes' agents, anew after a kill, on the
	// records in a folder.
	openFrom, openTo func(dir string, life *kerneltest.Life)
}

const newNode = "4444444444444444444444444444444444444444444444444444444444444444"

// newPair returns a pair whose agents have the given lives; nil lasts for ever.
func newPair(t *testing.T, lifeOfFrom, lifeOfTo *kerneltest.Life) *pair {
	t.Helper()
	ca, err := pki.CreateCA("dc", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	files := func() *kerneltest.Kernel {
		k := kerneltest.New()
		k.KeepFiles(t.TempDir())
		t.Cleanup(k.Shutdown)
		return k
	}
	p := &pair{}
	theirs, own := certified(t, ca, wiretest.NodeID), certified(t, ca, newNode)
	kernelOfFrom, kernelOfTo := files(), files()
	p.openFrom = func(dir string, life *kerneltest.Life) {
		p.from = open(t, kernelOfFrom, life, dir)
		p.from.mortal(life)
		p.fetch.From = wire.Holder{NodeID: wiretest.NodeID, Address: serve(t, p.from, theirs)}
	}
	p.openTo = func(dir string, life *kerneltest.Life) {
		p.to = open(t, kernelOfTo, life, dir, func(o *agent.Options) {
			o.NodeID = newNode
			o.Peer = func(h wire.Holder) agent.PeerClient {
				return wire.NewClient("https://"+h.Address, own.ClientTLS(pki.RoleNode, h.NodeID))
			}
		})
		p.to.mortal(life)
	}
	p.openFrom(t.TempDir(), lifeOfFrom)
	p.openTo(t.TempDir(), lifeOfTo)
	t.Cleanup(func() { p.to.Close(); p.from.Close() })

	p.request = wiretest.Request()
	p.request.Container.Spec.Mounts = []model.Mount{{Type: model.MountVolume, Source: "data", VolumeID: "v1", Target: "/data"}}
	p.request.Volumes = []wire.VolumeRef{{ID: "v1"}}
	there := p.request
	there.Container.NodeID, there.Container.Generation = newNode, 1
	p.fetch.Create = there
	must(t)(p.from.Create(t.Context(), p.request))
	must(t)(p.from.Start(t.Context(), p.id()))
	return p
}

func (p *pair) id() string { return p.request.Container.ID }

// mortal has the agent's life count what it records.
func (n *node) mortal(life *kerneltest.Life) {
	if life != nil {
		n.WrapRecords(func(r task.Records) task.Records { return &mortalRecords{r, life} })
	}
}

// put writes a file of the container at its old node.
func (p *pair) put(t *testing.T, what, content string) {
	t.Helper()
	dir := p.from.kernel.Dir(what, map[string]string{"volume": "v1"}[what]+map[string]string{"root": p.id(), "log": p.id()}[what])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// came is what the new node has of the files that put wrote.
func (p *pair) came(t *testing.T) string {
	t.Helper()
	var all []string
	for what, id := range map[string]string{"root": p.id(), "volume": "v1", "log": p.id()} {
		content, err := os.ReadFile(filepath.Join(p.to.kernel.Dir(what, id), "file"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(content))
	}
	if all[0] != all[1] || all[1] != all[2] {
		t.Errorf("the parts differ: %q", all)
	}
	return all[0]
}

func (p *pair) putAll(t *testing.T, content string) {
	for _, what := range []string{"root", "volume", "log"} {
		p.put(t, what, content)
	}
}

func (p *pair) fetchIt(t *testing.T) {
	t.Helper()
	if _, err := p.to.FetchContainer(t.Context(), p.fetch); err != nil {
		t.Fatal(err)
	}
}

func (p *pair) offer(t *testing.T) {
	t.Helper()
	if err := p.from.OfferContainer(t.Context(), p.id(), wire.OfferRequest{To: newNode}); err != nil {
		t.Fatal(err)
	}
}

func TestAContainerGoesFromNodeToNode(t *testing.T) {
	t.Parallel()
	p := newPair(t, nil, nil)
	ctx := t.Context()
	p.putAll(t, "early")
	p.put(t, "log", "early")
	if _, err := p.to.FetchContainer(ctx, p.fetch); !model.IsKind(err, model.KindForbidden) {
		t.Errorf("a fetch of what was not offered: %v", err)
	}
	p.offer(t)
	p.fetchIt(t)
	if got := p.came(t); got != "early" {
		t.Errorf("at first %q came", got)
	}
	if _, err := p.to.Start(ctx, p.id()); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("a start of what has not arrived: %v", err)
	}
	p.putAll(t, "late")
	must(t)(p.from.DepartContainer(ctx, p.id(), wire.StopRequest{}))
	for what, call := range map[string]func() error{
		"start":   func() error { _, err := p.from.Start(ctx, p.id()); return err },
		"restart": func() error { _, err := p.from.Restart(ctx, p.id(), wire.StopRequest{}); return err },
	} {
		if err := call(); !model.IsKind(err, model.KindConflict) || !strings.Contains(err.Error(), "is being moved") {
			t.Errorf("a %s of what departs: %v", what, err)
		}
	}
	p.fetchIt(t)
	arrives := p.fetch.Create
	arrives.Container.State = model.ContainerState{Status: model.StatusExited, ExitCode: 143}
	for range 2 {
		must(t)(p.to.ArriveContainer(ctx, arrives))
	}
	if got := p.came(t); got != "late" {
		t.Errorf("in the end %q came", got)
	}
	must(t)(p.to.Start(ctx, p.id()))
	none, zero := 5, 0
	must(t)(p.from.Remove(ctx, p.id(), wire.RemoveRequest{Force: true, Generation: &none}))
	if all, _ := p.from.Containers(ctx); len(all) != 1 || !all[0].Departing {
		t.Errorf("a removal of another copy left %+v", all)
	}
	must(t)(p.from.Remove(ctx, p.id(), wire.RemoveRequest{Force: true, Generation: &zero}))
	for _, entry := range waitFor(t, p.to, action("start")) {
		if entry.Action == model.ActionCreate || entry.Action == model.ActionDestroy {
			t.Errorf("the new node tells of %s", entry.Action)
		}
	}
	if holds := p.from.kernel.Holds(); len(holds) > 1 { // the volume is the heads' to remove
		t.Errorf("the old node holds %v", holds)
	}
}

// The new node's agent is killed: what has come is still there, and what comes
// after all is no more goes without a trace.
func TestAFetchOutlivesItsAgent(t *testing.T) {
	t.Parallel()
	p := newPair(t, nil, nil)
	p.putAll(t, strings.Repeat("much ", 100_000))
	p.offer(t)
	p.fetchIt(t)
	p.to.Close()
	p.openTo(p.to.dir, nil)
	if all, err := p.to.Containers(t.Context()); err != nil || len(all) != 1 || all[0].State.Status != model.StatusCreated {
		t.Fatalf("after a kill the node has %+v, %v", all, err)
	}
	again, err := p.to.FetchContainer(t.Context(), p.fetch)
	if err != nil || again.Bytes > 1000 {
		t.Errorf("after a kill %d bytes came again, %v", again.Bytes, err)
	}
	one := 1
	must(t)(p.to.Remove(t.Context(), p.id(), wire.RemoveRequest{Force: true, Generation: &one}))
	if err := p.to.RemoveVolume(t.Context(), "v1"); err != nil {
		t.Error(err)
	}
	if holds := p.to.kernel.Holds(); len(holds) > 0 {
		t.Errorf("the node holds %v", holds)
	}
	if _, err := p.to.FetchProgress(t.Context(), p.id()); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("progress of what does not come any more: %v", err)
	}
}

// A container that departs is not started by its restart policy, nor by a boot,
// until it is to stay.
func TestWhatDepartsStaysStopped(t *testing.T) {
	t.Parallel()
	k, dir := kerneltest.New(), t.TempDir()
	defer k.Shutdown()
	n := open(t, k, nil, dir)
	r := wiretest.Request()
	r.Container.Spec.Restart.Name, r.Container.Spec.AutoRemove = "always", false
	id := r.Container.ID
	must(t)(n.Create(t.Context(), r))
	must(t)(n.Start(t.Context(), id))
	must(t)(n.DepartContainer(t.Context(), id, wire.StopRequest{}))
	n.Close()
	n = open(t, k, nil, dir)
	defer func() { n.Close() }()
	if all, _ := n.Containers(t.Context()); len(all) != 1 || all[0].State.Status.Running() || !all[0].Departing {
		t.Fatalf("after a kill the node has %+v", all)
	}
	must(t)(n.StayContainer(t.Context(), id, wire.StayRequest{Start: true}))
	if all, _ := n.Containers(t.Context()); !all[0].State.Status.Running() || all[0].Departing {
		t.Errorf("a container that stays is %+v", all[0])
	}
	must(t)(n.StayContainer(t.Context(), id, wire.StayRequest{Start: true}))
}

// One that is to be removed at its end is not, when it ends to move.
func TestWhatDepartsIsNotRemoved(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	r := wiretest.Request()
	r.Container.Spec.AutoRemove = true
	must(t)(n.Create(t.Context(), r))
	must(t)(n.Start(t.Context(), r.Container.ID))
	must(t)(n.DepartContainer(t.Context(), r.Container.ID, wire.StopRequest{}))
	if all, _ := n.Containers(t.Context()); len(all) != 1 {
		t.Errorf("the node has %+v", all)
	}
}
