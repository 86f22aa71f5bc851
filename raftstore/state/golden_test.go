package state

import (
	"os"
	"testing"

	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// The file is a snapshot as the first version wrote it, which knew neither of
// heads nor of requests, volumes or tokens. Backups live long: it must be read
// by every later version.
func TestFirstVersionsSnapshotIsRead(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/snapshot-v1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := Restore(f)
	if err != nil {
		t.Fatal(err)
	}
	v := s.View()
	if v.Index() != 11 || len(v.AllContainers()) != 1 || len(v.Nodes()) != 1 || len(v.Images()) != 1 {
		t.Errorf("at %d there are %d containers, %d nodes and %d images", v.Index(), len(v.AllContainers()), len(v.Nodes()), len(v.Images()))
	}
	if _, err := s.Apply(12, command.Entry{Request: "r", Command: testHead("head-1")}); err != nil {
		t.Errorf("it does not go on: %v", err)
	}
}
