package names

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// anyNetworks are a few networks, of which some are likely the same as others'.
func anyNetworks(t *rapid.T) map[string]Network {
	member := rapid.Custom(func(t *rapid.T) Member {
		return Member{
			Account: rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "account"),
			Address: netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "last")}),
			Names:   rapid.SliceOfN(rapid.SampledFrom([]string{"web", "DB", "db.", ""}), 0, 2).Draw(t, "names"),
			Up:      rapid.Bool().Draw(t, "up"),
		}
	})
	network := rapid.Custom(func(t *rapid.T) Network {
		return Network{Name: "lan", Members: rapid.SliceOfN(member, 0, 2).Draw(t, "members")}
	})
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), network, 0, 3).Draw(t, "networks")
}

// TestLinksAreOfOneContainerOnly: a name that one container has for another.
func TestLinksAreOfOneContainerOnly(t *testing.T) {
	t.Parallel()
	var h House
	lan := Network{Name: "lan", Members: []Member{
		{Account: "alice", Address: netip.MustParseAddr("10.0.0.2"), Names: []string{"project_db_1"}, Up: true},
		{Account: "bob", Address: netip.MustParseAddr("10.0.0.3"), Names: []string{"project_db_1"}, Up: true},
	}}
	if err := h.Tell(t.Context(), map[string]Network{"a": lan}); err != nil {
		t.Fatal(err)
	}
	linked, other := &room{}, &room{}
	linked.who.Store(&Container{Account: "alice", Networks: []string{"a"}, Links: []Link{{Network: "a", Name: "Project_DB_1", Alias: "DB"}, {Network: "b", Name: "project_db_1", Alias: "elsewhere"}}})
	other.who.Store(&Container{Account: "alice", Networks: []string{"a"}})
	want := []netip.Addr{netip.MustParseAddr("10.0.0.2")}
	for _, name := range []string{"db", "project_db_1"} {
		if got, known := (view{&h, linked}).Lookup(name); !known || !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for who, name := range map[*room]string{other: "db", linked: "elsewhere"} {
		if got, known := (view{&h, who}).Lookup(name); known {
			t.Errorf("%s is found: %v", name, got)
		}
	}
}

// TestDifferencesTellTheWhole: who knows something and is told the difference
// knows what who is told the whole does.
func TestDifferencesTellTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		has, want := anyNetworks(t), anyNetworks(t)
		var step, whole House
		for _, err := range []error{step.Tell(t.Context(), has), whole.Tell(t.Context(), want)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		say := difference(has, want)
		if err := step.change(say.Networks, say.Gone); err != nil {
			t.Fatal(err)
		}
		one, other := *step.told.Load(), *whole.told.Load()
		if diff := cmp.Diff(slices.Sorted(maps.Keys(other)), slices.Sorted(maps.Keys(one))); diff != "" {
			t.Fatalf("networks (-want +got):\n%s", diff)
		}
		for id, p := range other {
			for _, account := range []string{"alice", "bob"} {
				for _, name := range []string{"web", "db", "web.lan", "other"} {
					want, got := p.members(account, name), one[id].members(account, name)
					if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
						t.Fatalf("%s of %s (-want +got):\n%s", name, account, diff)
					}
				}
			}
		}
	})
}

func TestNothingIsChangedThatWasNeverTold(t *testing.T) {
	t.Parallel()
	var h House
	if err := h.change(nil, nil); err == nil {
		t.Error("it was")
	}
	if (view{house: &h}).Ready() {
		t.Error("who was told nothing answers")
	}
}

// TestAnIdleProcessEnds, and only one serves a folder.
func TestAnIdleProcessEnds(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	ended := make(chan error, 1)
	begun := time.Now()
	go func() { ended <- Main(t.Context(), Config{RunDir: dir, ResolvConf: "/nowhere", Version: "1"}) }()
	awaitFile(t, filepath.Join(dir, socketName))
	if err := Main(t.Context(), Config{RunDir: dir, ResolvConf: "/nowhere", Version: "1"}); err == nil {
		t.Error("two serve one folder")
	}
	select {
	case err := <-ended:
		if err != nil || time.Since(begun) < idleEnd {
			t.Errorf("ended after %s: %v", time.Since(begun), err)
		}
	case <-time.After(time.Minute + idleEnd):
		t.Error("it does not end")
	}
}

// awaitFile returns when there is a file of that name (inotify(7)).
func awaitFile(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	events := os.NewFile(uintptr(fd), "events")
	defer events.Close()
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		t.Fatal(err)
	}
	if err := events.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if _, err := events.Read(make([]byte, 4096)); err != nil {
			t.Fatalf("there is no %s: %v", path, err)
		}
	}
}

// TestAProgramThatDoesNotStartIsToldOf within a bounded time.
func TestAProgramThatDoesNotStartIsToldOf(t *testing.T) {
	t.Parallel()
	_, err := OpenClient(t.Context(), ClientConfig{
		Command: []string{"/nowhere/at/all"}, RunDir: t.TempDir(), Version: "1", Logger: slog.New(slog.DiscardHandler), Restored: func(context.Context) {},
	})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	long := filepath.Join(t.TempDir(), fmt.Sprintf("%0100d", 0))
	if _, err := OpenClient(t.Context(), ClientConfig{Command: []string{"true"}, RunDir: long}); err == nil {
		t.Error("a path that no socket can have is used")
	}
}
