package wiretest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// patience bounds every wait of the suite. It is never a measure.
const patience = 20 * time.Second

// Subject is an agent under test. Its node is NodeID and holds the image
// ImageID, whose containers run a Process; its registry knows GoodRef, BadRef
// and EndlessRef.
type Subject func(t *testing.T) wire.Agent

// check is one part of the contract.
type check struct {
	name string
	run  func(*suite)
}

// Run checks that agents made by subject keep the contract of wire.Agent, but
// for the files of containers and for volumes, for which there is RunFiles.
func Run(t *testing.T, subject Subject) {
	run(t, subject, []check{
		{"LifeIsToldInOrder", (*suite).lifeIsToldInOrder},
		{"CreatingAgainMakesNoSecond", (*suite).creatingAgainMakesNoSecond},
		{"UnknownIsNotFound", (*suite).unknownIsNotFound},
		{"StateForbids", (*suite).stateForbids},
		{"AttachSeesAllFromTheStart", (*suite).attachSeesAllFromTheStart},
		{"StreamCarriesBytesUnchanged", (*suite).streamCarriesBytesUnchanged},
		{"StreamEndsWithItsContext", (*suite).streamEndsWithItsContext},
		{"LogsFollowToTheEnd", (*suite).logsFollowToTheEnd},
		{"ExecRunsOnce", (*suite).execRunsOnce},
		{"PullEndsWithTheImage", (*suite).pullEndsWithTheImage},
		{"PullEndsWithTheReason", (*suite).pullEndsWithTheReason},
		{"PullEndsWhenItsReaderLeaves", (*suite).pullEndsWhenItsReaderLeaves},
		{"ImageInUseStays", (*suite).imageInUseStays},
		{"JournalGoesOnWhereItWasLeft", (*suite).journalGoesOnWhereItWasLeft},
		{"RestartIsStopAndStart", (*suite).restartIsStopAndStart},
		{"PausedIsHeldBack", (*suite).pausedIsHeldBack},
		{"PausedCanBeEnded", (*suite).pausedCanBeEnded},
		{"UpdateIsTold", (*suite).updateIsTold},
		{"UseAndHealthAreTold", (*suite).useAndHealthAreTold},
		{"NetworksHaveVersions", (*suite).networksHaveVersions},
		{"NetworksComeAndGo", (*suite).networksComeAndGo},
		{"DeparturesHold", (*suite).departuresHold},
	})
}

// RunFiles checks what the contract says of containers' files and of volumes.
// The agents hold what is unpacked into a container's folder /in as it is, and
// the volume VolumeID.
func RunFiles(t *testing.T, subject Subject) {
	run(t, subject, []check{
		{"FilesComeBack", (*suite).filesComeBack},
		{"MissingFilesAreNotFound", (*suite).missingFilesAreNotFound},
		{"CommitMakesAnImage", (*suite).commitMakesAnImage},
		{"VolumesAreCarried", (*suite).volumesAreCarried},
		{"VolumesInUseStay", (*suite).volumesInUseStay},
	})
}

func run(t *testing.T, subject Subject, checks []check) {
	for _, test := range checks {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			t.Cleanup(cancel)
			test.run(&suite{T: t, ctx: ctx, agent: subject(t)})
		})
	}
}

type suite struct {
	*testing.T
	ctx   context.Context
	agent wire.Agent
}

// Request is a create request for a new container that runs a Process.
func Request() wire.CreateRequest {
	return wire.CreateRequest{
		Container: model.Container{
			ID: model.NewID(), Name: "cat", AccountID: "account", NodeID: NodeID, Created: time.Now(),
			Spec: model.ContainerSpec{
				ImageID: ImageID, Cmd: []string{"cat"}, OpenStdin: true, StdinOnce: true,
				Hostname: "cat", Network: "none", Log: model.LogConfig{Driver: "json-file"},
			},
		},
		Account: wire.AccountRef{ID: "account", Login: "account", Policy: model.PolicyTenant},
	}
}

func (s *suite) create() string {
	s.Helper()
	r := Request()
	s.must(s.agent.Create(s.ctx, r))
	return r.Container.ID
}

func (s *suite) started() string {
	s.Helper()
	id := s.create()
	s.must(s.agent.Start(s.ctx, id))
	return id
}

func (s *suite) must(ack wire.Ack, err error) wire.Ack {
	s.Helper()
	s.ok(err)
	return ack
}

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) wantKind(kind model.Kind, err error) {
	s.Helper()
	if !model.IsKind(err, kind) {
		s.Errorf("got error %v, want one of kind %s", err, kind)
	}
}

// follow returns the actions of a container, in order, up to the given one.
func (s *suite) follow(after wire.Ack, id, last string) (actions []string, entries []model.JournalEntry) {
	s.Helper()
	stream, err := s.agent.Journal(s.ctx, after)
	s.ok(err)
	defer stream.Close()
	seq := after.Seq
	for {
		batch, err := stream.Next()
		s.ok(err)
		for _, e := range batch {
			if e.Seq != seq+1 {
				s.Fatalf("entry %d comes after entry %d", e.Seq, seq)
			}
			seq = e.Seq
			if e.ContainerID != id {
				continue
			}
			actions, entries = append(actions, e.Action), append(entries, e)
			if e.Action == last {
				return actions, entries
			}
		}
	}
}

func (s *suite) lifeIsToldInOrder() {
	id := s.create()
	s.must(s.agent.Start(s.ctx, id))
	s.must(s.agent.Stop(s.ctx, id, wire.StopRequest{}))
	ack := s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{}))
	actions, entries := s.follow(wire.Ack{}, id, model.ActionDestroy)
	want := []string{"create", "start", "kill", "die", "stop", "destroy"}
	if diff := cmp.Diff(want, actions); diff != "" {
		s.Errorf("the journal tells another story (-want +got):\n%s", diff)
	}
	if last := entries[len(entries)-1]; last.Seq > ack.Seq {
		s.Errorf("the removal was acknowledged with %d, before its entry %d", ack.Seq, last.Seq)
	}
	for _, e := range entries {
		switch e.Action {
		case "start":
			if e.State == nil || e.State.Status != model.StatusRunning || e.State.Pid == 0 {
				s.Errorf("start says %+v, want a running process", e.State)
			}
		case "die":
			if e.State == nil || e.State.Status != model.StatusExited || e.State.ExitCode != 143 || e.Attributes["exitCode"] != "143" {
				s.Errorf("die says %+v %v, want exit code 143", e.State, e.Attributes)
			}
		}
	}
	all, err := s.agent.Containers(s.ctx)
	s.ok(err)
	if len(all) != 0 {
		s.Errorf("the node still has %v", all)
	}
}

func (s *suite) creatingAgainMakesNoSecond() {
	r := Request()
	s.must(s.agent.Create(s.ctx, r))
	s.must(s.agent.Create(s.ctx, r))
	all, err := s.agent.Containers(s.ctx)
	s.ok(err)
	if len(all) != 1 || all[0].ID != r.Container.ID || all[0].AccountID != "account" || all[0].State.Status != model.StatusCreated {
		s.Errorf("the node has %+v, want the one container, created", all)
	}
	s.must(s.agent.Remove(s.ctx, r.Container.ID, wire.RemoveRequest{}))
	actions, _ := s.follow(wire.Ack{}, r.Container.ID, model.ActionDestroy)
	if diff := cmp.Diff([]string{"create", "destroy"}, actions); diff != "" {
		s.Errorf("journal (-want +got):\n%s", diff)
	}
	bad := Request()
	bad.Container.ID = "nonsense"
	_, err = s.agent.Create(s.ctx, bad)
	s.wantKind(model.KindInvalid, err)
}

func (s *suite) unknownIsNotFound() {
	id := model.NewID()
	_, err := s.agent.Start(s.ctx, id)
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Stop(s.ctx, id, wire.StopRequest{})
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Restart(s.ctx, id, wire.StopRequest{})
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Kill(s.ctx, id, wire.KillRequest{})
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Pause(s.ctx, id)
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Unpause(s.ctx, id)
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Update(s.ctx, id, model.ContainerUpdate{})
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Stats(s.ctx, id)
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Health(s.ctx, id)
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Top(s.ctx, id, "")
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Attach(s.ctx, id, wire.AttachRequest{Stdout: true, Stream: true})
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Logs(s.ctx, id, wire.LogsRequest{Stdout: true})
	s.wantKind(model.KindNotFound, err)
	s.wantKind(model.KindNotFound, s.agent.Resize(s.ctx, id, wire.TerminalSize{Rows: 1, Columns: 1}))
	s.wantKind(model.KindNotFound, s.agent.ExecCreate(s.ctx, id, wire.ExecSpec{ID: model.NewID(), Args: []string{"cat"}}))
	_, err = s.agent.ExecStart(s.ctx, id, wire.ExecStartRequest{})
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.ExecInspect(s.ctx, id)
	s.wantKind(model.KindNotFound, err)
	s.wantKind(model.KindNotFound, s.agent.ExecResize(s.ctx, id, wire.TerminalSize{}))
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true}))
}

func (s *suite) stateForbids() {
	id := s.create()
	_, err := s.agent.Stop(s.ctx, id, wire.StopRequest{})
	s.wantKind(model.KindNotModified, err)
	_, err = s.agent.Kill(s.ctx, id, wire.KillRequest{})
	s.wantKind(model.KindConflict, err)
	s.wantKind(model.KindConflict, s.agent.ExecCreate(s.ctx, id, wire.ExecSpec{ID: model.NewID(), Args: []string{"cat"}}))
	s.must(s.agent.Start(s.ctx, id))
	_, err = s.agent.Start(s.ctx, id)
	s.wantKind(model.KindNotModified, err)
	_, err = s.agent.Kill(s.ctx, id, wire.KillRequest{Signal: "SIGNONSENSE"})
	s.wantKind(model.KindInvalid, err)
	s.must(s.agent.Kill(s.ctx, id, wire.KillRequest{Signal: "HUP"}))
	_, err = s.agent.Remove(s.ctx, id, wire.RemoveRequest{})
	s.wantKind(model.KindConflict, err)
	table, err := s.agent.Top(s.ctx, id, "-ef")
	s.ok(err)
	if len(table.Titles) == 0 || len(table.Rows) == 0 {
		s.Errorf("top says %+v", table)
	}
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true}))
}

func (s *suite) attachSeesAllFromTheStart() {
	id := s.create()
	stream, err := s.agent.Attach(s.ctx, id, wire.AttachRequest{Stdin: true, Stdout: true, Stderr: true, Stream: true})
	s.ok(err)
	defer stream.Close()
	_, err = stream.Write([]byte("early "))
	s.ok(err)
	s.must(s.agent.Start(s.ctx, id))
	_, err = stream.Write([]byte("late"))
	s.ok(err)
	s.ok(stream.CloseWrite())
	if got := s.output(stream); got != "early late" {
		s.Errorf("read %q, want %q", got, "early late")
	}
	_, entries := s.follow(wire.Ack{}, id, "die")
	if code := entries[len(entries)-1].State.ExitCode; code != 0 {
		s.Errorf("exit code %d, want 0", code)
	}
}

// output reads a stream to its end and takes it out of its frames.
func (s *suite) output(r io.Reader) string {
	s.Helper()
	var out bytes.Buffer
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err == io.EOF {
			return out.String()
		} else {
			s.ok(err)
		}
		if _, err := io.CopyN(&out, r, int64(binary.BigEndian.Uint32(head[4:]))); err != nil {
			s.Fatal(err)
		}
	}
}

func (s *suite) streamCarriesBytesUnchanged() {
	id := s.create()
	stream, err := s.agent.Attach(s.ctx, id, wire.AttachRequest{Stdin: true, Stdout: true, Stream: true})
	s.ok(err)
	defer stream.Close()
	s.must(s.agent.Start(s.ctx, id))
	sent := make([]byte, 5<<20+17)
	rand.Read(sent)
	written := make(chan error, 1)
	go func() {
		_, err := stream.Write(sent)
		written <- errors.Join(err, stream.CloseWrite())
	}()
	got := s.output(stream)
	s.ok(<-written)
	if !bytes.Equal(sent, []byte(got)) {
		s.Errorf("%d bytes came back, not the %d that were sent", len(got), len(sent))
	}
}

func (s *suite) streamEndsWithItsContext() {
	id := s.started()
	ctx, cancel := context.WithCancel(s.ctx)
	stream, err := s.agent.Attach(ctx, id, wire.AttachRequest{Stdout: true, Stream: true})
	s.ok(err)
	defer stream.Close()
	log, err := s.agent.Logs(ctx, id, wire.LogsRequest{Stdout: true, Follow: true, Tail: -1})
	s.ok(err)
	defer log.Close()
	journal, err := s.agent.Journal(ctx, wire.Ack{})
	s.ok(err)
	defer journal.Close()
	cancel()
	if _, err := io.Copy(io.Discard, stream); err == nil && s.ctx.Err() != nil {
		s.Error("the attached stream did not end")
	}
	if _, err := io.Copy(io.Discard, log); err == nil && s.ctx.Err() != nil {
		s.Error("the log did not end")
	}
	for {
		if _, err := journal.Next(); err != nil {
			break
		}
	}
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true}))
}

func (s *suite) logsFollowToTheEnd() {
	id := s.started()
	log, err := s.agent.Logs(s.ctx, id, wire.LogsRequest{Stdout: true, Stderr: true, Follow: true, Tail: -1})
	s.ok(err)
	defer log.Close()
	stream, err := s.agent.Attach(s.ctx, id, wire.AttachRequest{Stdin: true, Stream: true})
	s.ok(err)
	defer stream.Close()
	_, err = stream.Write([]byte("a line\n"))
	s.ok(err)
	s.ok(stream.CloseWrite())
	if got := s.output(log); got != "a line\n" {
		s.Errorf("the log followed to the end says %q", got)
	}
	s.follow(wire.Ack{}, id, "die")
	again, err := s.agent.Logs(s.ctx, id, wire.LogsRequest{Stdout: true, Stderr: true, Tail: -1})
	s.ok(err)
	defer again.Close()
	if got := s.output(again); got != "a line\n" {
		s.Errorf("the log after the end says %q", got)
	}
}

func (s *suite) execRunsOnce() {
	id, exec := s.started(), model.NewID()
	spec := wire.ExecSpec{ID: exec, Args: []string{"cat"}, Stdin: true, Stdout: true, Stderr: true}
	s.ok(s.agent.ExecCreate(s.ctx, id, spec))
	before, err := s.agent.ExecInspect(s.ctx, exec)
	s.ok(err)
	if before.Running || before.ExitCode != nil || before.ContainerID != id {
		s.Errorf("before its start the exec is %+v", before)
	}
	stream, err := s.agent.ExecStart(s.ctx, exec, wire.ExecStartRequest{})
	s.ok(err)
	defer stream.Close()
	_, err = s.agent.ExecStart(s.ctx, exec, wire.ExecStartRequest{})
	s.wantKind(model.KindConflict, err)
	_, err = stream.Write([]byte("inside"))
	s.ok(err)
	s.ok(stream.CloseWrite())
	if got := s.output(stream); got != "inside" {
		s.Errorf("the exec said %q", got)
	}
	after, err := s.agent.ExecInspect(s.ctx, exec)
	s.ok(err)
	if after.Running || after.ExitCode == nil || *after.ExitCode != 0 {
		s.Errorf("after its end the exec is %+v", after)
	}
	detached := wire.ExecSpec{ID: model.NewID(), Args: []string{"cat"}}
	s.ok(s.agent.ExecCreate(s.ctx, id, detached))
	none, err := s.agent.ExecStart(s.ctx, detached.ID, wire.ExecStartRequest{Detach: true})
	s.ok(err)
	if none != nil {
		s.Error("a detached exec has a stream")
	}
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true}))
}

// pull returns the messages of a pull.
func (s *suite) pull(ref string) (messages []wire.PullMessage) {
	s.Helper()
	stream, err := s.agent.PullImage(s.ctx, wire.PullRequest{Ref: ref})
	s.ok(err)
	defer stream.Close()
	for {
		m, err := stream.Next()
		if err == io.EOF {
			return messages
		}
		s.ok(err)
		messages = append(messages, m)
	}
}

func (s *suite) pullEndsWithTheImage() {
	messages := s.pull(GoodRef)
	if len(messages) < 2 || messages[0].Progress == nil {
		s.Fatalf("the pull said %+v, want progress and the image", messages)
	}
	last := messages[len(messages)-1]
	if last.Image == nil || last.Image.Image.ID != ImageID {
		s.Errorf("the pull ended with %+v, want the image", last)
	}
	ids, err := s.agent.Images(s.ctx)
	s.ok(err)
	if !slices.Contains(ids, ImageID) {
		s.Errorf("the node holds %v, not the pulled image", ids)
	}
}

func (s *suite) pullEndsWithTheReason() {
	messages := s.pull(BadRef)
	last := messages[len(messages)-1]
	if last.Error == nil || last.Error.Kind != model.KindNotFound {
		s.Errorf("the pull ended with %+v, want not-found", last)
	}
}

func (s *suite) pullEndsWhenItsReaderLeaves() {
	stream, err := s.agent.PullImage(s.ctx, wire.PullRequest{Ref: EndlessRef})
	s.ok(err)
	_, err = stream.Next()
	s.ok(err)
	s.ok(stream.Close())
	if m, err := stream.Next(); err == nil {
		s.Errorf("a closed pull goes on with %+v", m)
	}
}

func (s *suite) imageInUseStays() {
	id := s.create()
	s.wantKind(model.KindConflict, s.agent.RemoveImage(s.ctx, ImageID))
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{}))
	s.ok(s.agent.RemoveImage(s.ctx, ImageID))
	ids, err := s.agent.Images(s.ctx)
	s.ok(err)
	if len(ids) != 0 {
		s.Errorf("the node still holds %v", ids)
	}
}

func (s *suite) journalGoesOnWhereItWasLeft() {
	first := s.create()
	s.follow(wire.Ack{}, first, "create")
	second := Request()
	ack := s.must(s.agent.Create(s.ctx, second))
	s.follow(wire.Ack{}, second.Container.ID, "create")

	third := s.create() // told live, after what was acknowledged
	actions, _ := s.follow(ack, third, "create")
	if len(actions) != 1 {
		s.Errorf("after %d the journal tells %v", ack.Seq, actions)
	}
	stranger, err := s.agent.Journal(s.ctx, wire.Ack{Epoch: "another", Seq: 1 << 40})
	s.ok(err)
	defer stranger.Close()
	if stranger.Epoch() != ack.Epoch {
		s.Errorf("the journal is of epoch %q, the acknowledgement of %q", stranger.Epoch(), ack.Epoch)
	}
	entries, err := stranger.Next()
	s.ok(err)
	if len(entries) == 0 || entries[0].Seq > ack.Seq+1 {
		s.Errorf("with another epoch the journal begins with %+v", entries)
	}
}

func (s *suite) restartIsStopAndStart() {
	id := s.started()
	s.must(s.agent.Restart(s.ctx, id, wire.StopRequest{}))
	actions, _ := s.follow(wire.Ack{}, id, "restart")
	want := []string{"create", "start", "kill", "die", "stop", "start", "restart"}
	if diff := cmp.Diff(want, actions); diff != "" {
		s.Errorf("journal (-want +got):\n%s", diff)
	}
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true}))
}
