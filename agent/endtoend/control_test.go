package endtoend

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// TestRunningContainerIsSteered pauses, updates, measures and probes a real
// container.
func TestRunningContainerIsSteered(t *testing.T) {
	n := newNode(t)
	n.start("")
	n.pull()
	r := n.request(worker)
	spec := &r.Container.Spec
	spec.Limits = model.Limits{Memory: oldLimit, MemorySwap: -1}
	spec.Links = []model.Link{{Name: "db1", Alias: "db", Hosts: []string{"f00"}, Address: "10.77.0.99", Env: []string{"DB_PORT=tcp://10.77.0.99:5432"}}}
	spec.Healthcheck = &model.Healthcheck{Test: []string{"CMD-SHELL", "echo checked $DB_PORT; cat /ill"}, Interval: 50 * time.Millisecond, Retries: 2}
	id := r.Container.ID
	_, err := n.client.Create(t.Context(), r)
	n.ok(err)
	_, err = n.client.Start(t.Context(), id)
	n.ok(err)
	n.await(id, "health_status: unhealthy")
	health, err := n.client.Health(t.Context(), id)
	n.ok(err)
	if newest := health.Log[len(health.Log)-1]; newest.ExitCode != 1 || !strings.Contains(newest.Output, "checked tcp://10.77.0.99:5432\n") {
		t.Errorf("the newest probe is %+v", newest)
	}
	if hosts, code := n.exec(id, "sh", "-c", "cat /etc/hosts; touch /ill"); code != 0 || !strings.Contains(hosts, "10.77.0.99\tdb f00 db1\n") {
		t.Errorf("the hosts file, code %d:\n%s", code, hosts)
	}
	n.await(id, "health_status: healthy")

	before, err := n.client.Stats(t.Context(), id)
	n.ok(err)
	if before.CPU.Total == 0 || before.Memory.Limit != oldLimit || before.Pids.Current == 0 {
		t.Errorf("the container uses %+v", before)
	}
	_, err = n.client.Update(t.Context(), id, model.ContainerUpdate{Limits: &model.Limits{Memory: newLimit, MemorySwap: -1}})
	n.ok(err)
	s, _ := n.container(id)
	n.wantAsTheKernel(crash{operation: "update"}, id, s)
	_, err = n.client.Update(t.Context(), id, model.ContainerUpdate{Limits: &model.Limits{CPUQuota: 1}})
	if !model.IsKind(err, model.KindInvalid) || strings.Count(model.UserText(err), id) != 1 {
		t.Errorf("a quota too small: %v", err)
	}

	_, err = n.client.Pause(t.Context(), id)
	n.ok(err)
	s, _ = n.container(id)
	n.wantAsTheKernel(crash{operation: "pause"}, id, s)
	err = n.client.ExecCreate(t.Context(), id, wire.ExecSpec{ID: model.NewID(), Args: []string{"true"}})
	if !model.IsKind(err, model.KindConflict) {
		t.Errorf("an exec in a paused container: %v", err)
	}
	_, err = n.client.Stop(t.Context(), id, wire.StopRequest{})
	n.ok(err)
	if s, _ := n.container(id); s.ExitCode != 7 {
		t.Errorf("the paused container that was stopped is %+v", s)
	}
	_, err = n.client.Remove(t.Context(), id, wire.RemoveRequest{})
	n.ok(err)
	n.wantNothingLeft()
}

// TestDetachKeysAreTold leaves a terminal and an exec's by their keys: both run
// on, and the journal tells who left.
func TestDetachKeysAreTold(t *testing.T) {
	n := newNode(t)
	n.start("")
	n.pull()
	r := n.request("cat")
	r.Container.Spec.Tty, r.Container.Spec.OpenStdin = true, true
	id := r.Container.ID
	_, err := n.client.Create(t.Context(), r)
	n.ok(err)
	_, err = n.client.Start(t.Context(), id)
	n.ok(err)
	stream, err := n.client.Attach(t.Context(), id, wire.AttachRequest{Stdin: true, Stdout: true, Stream: true})
	n.ok(err)
	n.detach(stream)
	n.await(id, "attach")
	n.await(id, "detach")
	exec := wire.ExecSpec{ID: model.NewID(), Args: []string{"cat"}, Tty: true, Stdin: true, Stdout: true, Stderr: true}
	n.ok(n.client.ExecCreate(t.Context(), id, exec))
	stream, err = n.client.ExecStart(t.Context(), exec.ID, wire.ExecStartRequest{})
	n.ok(err)
	n.detach(stream)
	if e := n.await(id, "exec_detach"); e.Attributes["execID"] != exec.ID {
		t.Errorf("the exec that was left is told as %v", e.Attributes)
	}
	n.ok(n.client.Resize(t.Context(), id, wire.TerminalSize{Rows: 30, Columns: 90}))
	if e := n.await(id, "resize"); fmt.Sprint(e.Attributes) != "map[height:30 width:90]" {
		t.Errorf("the new size is told as %v", e.Attributes)
	}
	_, err = n.client.Stop(t.Context(), id, wire.StopRequest{Timeout: new(int)})
	n.ok(err)
	for _, e := range n.story(id) {
		if e.Action == "exec_die" && e.Attributes["exitCode"] == "0" {
			t.Errorf("the exec ended by itself: %v", e.Attributes)
		}
	}
	_, err = n.client.Remove(t.Context(), id, wire.RemoveRequest{})
	n.ok(err)
	n.wantNothingLeft()
}

// detach types the keys, and reads until the terminal is left.
func (n *node) detach(s wire.Stream) {
	n.Helper()
	defer s.Close()
	ctx, cancel := context.WithTimeout(n.Context(), 20*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, func() { s.Close() })()
	_, err := s.Write([]byte{16, 17}) // ctrl-p, ctrl-q
	n.ok(err)
	_, err = io.Copy(io.Discard, s)
	n.ok(err)
}
