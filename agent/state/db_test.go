package state_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/spearheadcloud/spearhead/agent/state"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, path string) *state.DB {
	t.Helper()
	db, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func container(id string) state.Change {
	return state.Change{
		Container: id,
		Request:   &wire.CreateRequest{Container: model.Container{ID: id, Name: "n-" + id}},
		Status:    &state.Status{Phase: state.PhaseIdle, Run: "r"},
		Entries:   []model.JournalEntry{{ContainerID: id, Action: "create"}},
	}
}

func TestRecordsAndJournalAreFoundAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.db")
	db := open(t, path)
	epoch := db.Epoch()
	for _, id := range []string{"a", "b"} {
		if _, err := db.Commit(t.Context(), container(id)); err != nil {
			t.Fatal(err)
		}
	}
	exec := state.Exec{Spec: wire.ExecSpec{ID: "x"}, Container: "a", Started: true}
	if _, err := db.Commit(t.Context(), state.Change{Exec: &exec}); err != nil {
		t.Fatal(err)
	}
	ack, err := db.Commit(t.Context(), state.Change{Container: "b", Forget: true, Entries: []model.JournalEntry{{ContainerID: "b", Action: "destroy"}}})
	if err != nil || ack != (wire.Ack{Epoch: epoch, Seq: 3}) {
		t.Fatalf("the last change was acknowledged with %+v, %v", ack, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	db = open(t, path)
	defer db.Close()
	if db.Epoch() != epoch || db.Place() != ack {
		t.Errorf("reopened at %+v of %s, closed at %+v", db.Place(), db.Epoch(), ack)
	}
	records, err := db.Records()
	if err != nil || len(records) != 1 || records[0].Request.Container.Name != "n-a" || records[0].Status.Run != "r" {
		t.Errorf("records are %+v, %v", records, err)
	}
	execs, err := db.Execs()
	if err != nil || len(execs) != 1 || cmp.Diff(exec, execs[0]) != "" {
		t.Errorf("execs are %+v, %v", execs, err)
	}
	entries, err := db.Entries(1, 10)
	if err != nil || len(entries) != 2 || entries[0].Seq != 2 || entries[1].Action != "destroy" {
		t.Errorf("entries after 1 are %+v, %v", entries, err)
	}
}

func TestSequenceIsDenseUnderManyWriters(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "agent.db"))
	defer db.Close()
	const writers, each = 20, 10
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				ack, err := db.Commit(t.Context(), container(model.NewID()))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := db.Entries(ack.Seq-1, 1); err != nil || len(got) != 1 || got[0].Seq != ack.Seq {
					t.Errorf("entry %d is not there once acknowledged: %v, %v", ack.Seq, got, err)
				}
			}
		})
	}
	all.Wait()
	entries, err := db.Entries(0, 1000)
	if err != nil || len(entries) != writers*each {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for i, e := range entries {
		if e.Seq != uint64(i)+1 {
			t.Fatalf("entry %d has sequence %d", i, e.Seq)
		}
	}
}

func TestAcknowledgedEntriesGoAndSequencesStay(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.db")
	db := open(t, path)
	for _, id := range []string{"a", "b", "c"} {
		if _, err := db.Commit(t.Context(), container(id)); err != nil {
			t.Fatal(err)
		}
	}
	db.Acknowledge(1 << 40) // more than there is
	if _, err := db.Commit(t.Context(), container("d")); err != nil {
		t.Fatal(err)
	}
	entries, err := db.Entries(0, 10)
	if err != nil || len(entries) != 1 || entries[0].Seq != 4 {
		t.Errorf("after the acknowledgement of 3 the journal holds %+v, %v", entries, err)
	}
	db.Acknowledge(4)
	if _, err := db.Commit(t.Context(), state.Change{Container: "d", Forget: true}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	db = open(t, path)
	defer db.Close()
	if ack, err := db.Commit(t.Context(), container("e")); err != nil || ack.Seq != 5 {
		t.Errorf("an emptied journal goes on with %d, %v", ack.Seq, err)
	}
}

func TestSecondAgentIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.db")
	db := open(t, path)
	defer db.Close()
	if second, err := state.Open(path); err == nil {
		second.Close()
		t.Error("two agents have the same records")
	}
}

// BenchmarkCommit is one record with its entry, synced to disk.
func BenchmarkCommit(b *testing.B) {
	db := open(b, filepath.Join(b.TempDir(), "agent.db"))
	defer db.Close()
	for b.Loop() {
		if _, err := db.Commit(b.Context(), container("a")); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommitParallel shows what sharing a transaction saves.
func BenchmarkCommitParallel(b *testing.B) {
	db := open(b, filepath.Join(b.TempDir(), "agent.db"))
	defer db.Close()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		id := model.NewID()
		for pb.Next() {
			if _, err := db.Commit(b.Context(), container(id)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
