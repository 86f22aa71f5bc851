package state

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// sized is a created container with a limit of memory on a node of 100.
func sized(j *journal, n int, name string, memory int64) command.ReserveContainer {
	j.t.Helper()
	r := reservation(n, name)
	r.Container.Reserved = model.Resources{Memory: memory, Disk: 1}
	r.Container.Spec.Limits = model.Limits{Memory: memory}
	j.must(r, entries("e", entry(j.seq(), r, "create")))
	return r
}

// seq is the number of the next entry of node-1's journal.
func (j *journal) seq() uint64 {
	n, _ := j.View().Node("node-1")
	return n.JournalSeq + 1
}

func (j *journal) updated(r command.ReserveContainer, op string, limits model.Limits) command.CommitJournal {
	e := entry(j.seq(), r, "update")
	e.Update = &model.ContainerUpdate{Limits: &limits, Operation: op}
	return entries("e", e)
}

func reserveUpdate(r command.ReserveContainer, op string, before, needs int64) command.ReserveUpdate {
	return command.ReserveUpdate{
		ID: r.Container.ID, Operation: op, Package: "big", Before: model.Limits{Memory: before}, Needs: model.Resources{Memory: needs, Disk: 1}, Time: epoch,
	}
}

func TestUpdateIsReservedThenJournaled(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	web, db := sized(j, 1, "web", 10), sized(j, 2, "db", 10)
	get := func() model.Container {
		c, _ := j.View().Container(web.Container.ID)
		return c
	}
	if err := j.try(reserveUpdate(web, "u1", 10, 91)); !model.IsKind(err, model.KindExhausted) {
		t.Errorf("more than the node has: %v", err)
	}
	if err := j.try(reserveUpdate(web, "u1", 9, 20)); !model.IsKind(err, model.KindConflict) {
		t.Errorf("worked out from other limits: %v", err)
	}
	j.must(reserveUpdate(web, "u1", 10, 90), reserveUpdate(web, "u1", 10, 90))
	if c := get(); c.Reserved.Memory != 90 || c.Spec.Limits.Memory != 10 || j.View().Promised("node-1").Memory != 100 {
		t.Errorf("reserved %+v, limits %+v, promised %+v", c.Reserved, c.Spec.Limits, j.View().Promised("node-1"))
	}
	if err := j.try(reserveUpdate(web, "u2", 10, 11)); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a second update at once: %v", err)
	}
	if err := j.try(reserveUpdate(db, "u3", 10, 11)); !model.IsKind(err, model.KindExhausted) {
		t.Errorf("what is reserved for one update was given to another: %v", err)
	}
	// A late entry of an update that was given up takes nothing from this one.
	j.must(j.updated(web, "u0", model.Limits{Memory: 5}))
	if c := get(); c.Reserved.Memory != 90 || c.Spec.Limits.Memory != 5 || c.Update == nil {
		t.Errorf("after another's entry: reserved %+v, limits %+v", c.Reserved, c.Spec.Limits)
	}
	j.must(j.updated(web, "u1", model.Limits{Memory: 90}))
	if c := get(); c.Reserved != (model.Resources{Memory: 90, Disk: 1}) || c.Package != "big" || c.Update != nil {
		t.Errorf("after its entry: reserved %+v, package %s, update %+v", c.Reserved, c.Package, c.Update)
	}
	j.must(reserveUpdate(web, "u4", 90, 20))
	if c := get(); c.Reserved.Memory != 90 {
		t.Errorf("a smaller update gave back %+v before it was made", c.Reserved)
	}
	j.must(command.ReleaseUpdate{ID: web.Container.ID, Operation: "u9"}, command.ReleaseUpdate{ID: web.Container.ID, Operation: "u4"})
	if c := get(); c.Reserved.Memory != 90 || c.Update != nil {
		t.Errorf("after its release: reserved %+v, update %+v", c.Reserved, c.Update)
	}
	j.must(j.updated(web, "", model.Limits{Memory: 7}), command.ReleaseUpdate{ID: "gone", Operation: "u"})
	if p := j.View().Promised("node-1"); p.Memory != 17 || p.Disk != 2 {
		t.Errorf("in the end the node has promised %+v", p)
	}
}

func TestEventsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	r := reservation(1, "web")
	r.Container.Spec.Labels = map[string]string{"long": strings.Repeat("x", 1<<20)}
	j.must(r)
	for i := range uint64(80) {
		j.must(entries("e", entry(i+1, r, "start")))
	}
	events := j.View().Events(0, 0)
	if len(events) < 60 || len(events) > 64 || events[len(events)-1].Index != j.index {
		t.Errorf("%d events of a MiB are kept", len(events))
	}
}

func TestEventsOfImagesAreInDockersForm(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	put := func(ref, action string) command.PutImage {
		return command.PutImage{
			Image: model.Image{ID: "sha256:1", Holders: []string{"node-1"}}, Action: action, Time: epoch,
			Name: model.ImageName{AccountID: "account-1", Ref: ref, ImageID: "sha256:1"},
		}
	}
	j.must(put("docker.io/library/busybox:1", command.ActionPull), put("reg.example:5000/a/b@sha256:2", command.ActionPull),
		put("docker.io/jill/box:v1", command.ActionTag), put("sha256:1", command.ActionTag),
		command.RemoveImageName{AccountID: "account-1", Ref: "docker.io/jill/box:v1", Time: epoch})
	var got []string
	for _, e := range j.View().Events(0, 0) {
		got = append(got, e.Action+" "+e.ActorID+" "+e.Attributes["name"])
	}
	want := []string{"pull busybox:1 busybox", "pull reg.example:5000/a/b@sha256:2 reg.example:5000/a/b", "tag sha256:1 jill/box:v1", "untag sha256:1 sha256:1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A snapshot as the first release wrote it, before containers had updates and
// links.
const oldSnapshot = `{"format":"spearhead-state","version":1,"index":7}
{"t":"accounts","r":{"id":"account-1","login":"user1","policy":"tenant","created":"2026-11-21T10:00:00Z"}}
{"t":"containers","r":{"id":"0000000000000000000000000000000000000000000000000000000000000001","name":"web","account_id":"account-1","node_id":"node-1","created":"2026-11-21T10:00:00Z","phase":"created","package":"small","reserved":{"memory":10,"cpu":0,"disk":1},"spec":{"image":"busybox","image_id":"","image_digest":"","hostname":"h","restart":{"name":""},"limits":{"memory":10},"log":{"driver":"json-file"},"network":"external"},"state":{"status":"running","exit_code":0,"started_at":"2026-11-21T10:00:00Z","finished_at":"0001-01-01T00:00:00Z"}}}
{"rows":2,"sha256":"SUM"}
`

func TestOldSnapshotIsRead(t *testing.T) {
	t.Parallel()
	rows := oldSnapshot[:strings.Index(oldSnapshot, `{"rows"`)]
	s, err := Restore(strings.NewReader(strings.Replace(oldSnapshot, "SUM", sum256(rows), 1)))
	if err != nil {
		t.Fatal(err)
	}
	c, ok := s.View().ContainerByName("account-1", "web")
	if !ok || c.Spec.Limits.Memory != 10 || c.Update != nil || s.View().Promised("node-1").Memory != 10 {
		t.Errorf("restored %+v", c)
	}
}

func sum256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
