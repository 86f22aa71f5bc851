package namespace

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func own(t testing.TB) string {
	t.Helper()
	link, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return link
}

func TestNobodyElseChangesNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	before := own(t)
	path := filepath.Join(t.TempDir(), "ns")
	if err := PinNew(path, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	defer Unpin(path)
	ns, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	var inside string
	if err := Enter(ns, func() error { inside = own(t); return nil }); err != nil {
		t.Fatal(err)
	}
	if inside == before {
		t.Error("not inside of the new namespace")
	}
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if now := own(t); now != before {
				t.Errorf("a goroutine woke up in %s, not in %s", now, before)
			}
		})
	}
	all.Wait()
	if process, _ := os.Readlink("/proc/self/ns/net"); process != before {
		t.Errorf("the process itself moved to %s", process)
	}
}

func TestFailedSetupPinsNothing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	path := filepath.Join(t.TempDir(), "ns")
	want := errors.New("no")
	if err := PinNew(path, func() error { return want }); !errors.Is(err, want) {
		t.Errorf("error %v", err)
	}
	if IsPinned(path) {
		t.Error("pinned all the same")
	}
	if err := Unpin(path); err != nil {
		t.Error(err)
	}
	if err := Unpin(path); err != nil {
		t.Errorf("second time: %v", err)
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) == nil {
		t.Error("the file is left")
	}
}
