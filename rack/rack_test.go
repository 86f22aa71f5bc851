package rack

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

func TestTheLowestFreeIndexIsChosen(t *testing.T) {
	t.Parallel()
	prefixes := func(list ...string) (all []netip.Prefix) {
		for _, p := range list {
			all = append(all, netip.MustParsePrefix(p))
		}
		return all
	}
	for name, c := range map[string]struct {
		held  map[int]string
		taken []netip.Prefix
		want  int
	}{
		"nothing there":             {nil, prefixes("192.168.1.0/24"), 0},
		"a rack before":             {map[int]string{0: "/a"}, nil, 1},
		"a hole":                    {map[int]string{0: "/a", 2: "/b"}, nil, 1},
		"a route over the underlay": {nil, prefixes("10.93.0.0/23"), 2},
		"a route to containers":     {nil, prefixes("10.94.15.0/24"), 1},
		"one host route":            {map[int]string{0: "/a"}, prefixes("10.93.1.7/32"), 2},
	} {
		if got, err := chooseIndex(c.held, c.taken); err != nil || got != c.want {
			t.Errorf("%s: %d, %v, want %d", name, got, err, c.want)
		}
	}
	if _, err := chooseIndex(nil, prefixes("10.0.0.0/8")); !model.IsKind(err, model.KindExhausted) {
		t.Errorf("no room at all: %v", err)
	}
}

func TestNamesFitTheKernelAndAreTheRacksOwn(t *testing.T) {
	t.Parallel()
	links, addresses := map[string]bool{}, map[netip.Addr]bool{}
	for i := range maxRacks {
		l := layout{dir: "/d", index: i}
		list := []string{l.underlayBridge(), l.externalBridge()}
		for _, h := range l.hosts(5, 99) {
			list = append(list, l.underlayLink(h), l.externalLink(h))
			subnet, gateway := l.underlay()
			if addresses[h.addr] || !subnet.Contains(h.addr) || h.addr == gateway {
				t.Fatalf("rack %d: address %s of %s", i, h.addr, h.name)
			}
			addresses[h.addr] = true
		}
		for _, name := range list {
			if len(name) >= unix.IFNAMSIZ || links[name] {
				t.Fatalf("rack %d: link name %q is too long or taken", i, name)
			}
			links[name] = true
		}
		if external, _ := l.external(); i > 0 {
			if before, _ := (layout{index: i - 1}).external(); before.Overlaps(external) {
				t.Errorf("containers of racks %d and %d share addresses", i-1, i)
			}
		}
	}
}

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Load(dir); !model.IsKind(err, model.KindNotFound) {
		t.Fatalf("no rack: %v", err)
	}
	r := &Rack{layout: layout{dir, 3}, rec: record{Index: 3, Heads: 1, Nodes: 1, Storage: "zfs", Pool: "tank", Binary: "/b", MadeDirs: []string{dir}, Initialized: true}}
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
	again, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.rec, again.rec); diff != "" || again.layout != r.layout {
		t.Errorf("read back %+v %s", again.layout, diff)
	}
	for _, broken := range []string{"", "{", `{"index":99}`} {
		if err := os.WriteFile(filepath.Join(dir, recordName), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || model.IsKind(err, model.KindNotFound) {
			t.Errorf("record %q: %v", broken, err)
		}
	}
}

func TestRefusalsNameTheFlag(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root: others are refused before")
	}
	for want, o := range map[string]Options{
		"--heads 2":   {Heads: 2},
		"--nodes -1":  {Nodes: -1},
		"--storage":   {Storage: "btrfs"},
		"--pool":      {Pool: "tank"},
		"--heads -1":  {Heads: -1},
		"--nodes 100": {Nodes: 100},
	} {
		o.Dir = filepath.Join(t.TempDir(), "rack")
		if err := Up(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
		if _, err := os.Stat(o.Dir); err == nil {
			t.Errorf("%s: refused, but made its folder", want)
		}
	}
}

func TestAFolderWithOtherThingsIsNotTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := &Rack{layout: layout{dir: dir}, rec: record{Heads: 1, Nodes: 1}}
	if err := r.refuseForeign(); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "my.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.refuseForeign(); err != nil {
		t.Errorf("things that Down leaves alone: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.refuseForeign(); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a folder that Down would remove: %v", err)
	}
}

func TestResolversOnTheLoopbackAreReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	stub := write("stub", "# stub\nnameserver 127.0.0.53\noptions edns0\n")
	real := write("real", "search x\nnameserver 9.9.9.9\nnameserver fe80::1%eth0\nnameserver 149.112.112.112\n")
	for want, files := range map[string][]string{
		"9.9.9.9 149.112.112.112": {stub, real},
		"1.1.1.1 8.8.8.8":         {stub, filepath.Join(dir, "none")},
	} {
		var got []string
		for _, a := range machineResolvers(files...) {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", files, got, want)
		}
	}
}

func TestOnlyOurDaemonsAreOurs(t *testing.T) {
	t.Parallel()
	r := &Rack{layout: layout{"/d", 4}, rec: record{Heads: 1, Nodes: 1}}
	for _, c := range []struct {
		p    process
		want bool
	}{
		{process{args: []string{"/bin/spearhead", "head", "run", "--config", "/d/head-1/head.toml"}}, true},
		{process{args: []string{"/bin/spearhead", "head", "run", "--config", "/e/head-1/head.toml"}}, false},
		{process{args: []string{"vi", "/d/head-1/head.toml"}}, false},
		{process{args: []string{"/bin/spearhead", "iod", "--run-dir", "/run/spearhead/racks/4/node-1/agent/rt"}}, true},
		{process{args: []string{"/bin/spearhead", "iod", "--run-dir", "/run/spearhead/racks/41/node-1/agent/rt"}}, false},
		{process{cgroup: "3:memory:/spearhead-rack-4/acct/id\n1:cpu:/\n"}, true},
		{process{cgroup: "0::/spearhead-rack-41/x\n"}, false},
		{process{mounts: "mnt:[77]"}, true},
		{process{mounts: "mnt:[7]"}, false},
	} {
		if got := r.belongs(c.p, []string{"mnt:[77]"}); got != c.want {
			t.Errorf("%+v: ours is %v", c.p, got)
		}
	}
}

func TestASignalNeverHitsAStranger(t *testing.T) {
	t.Parallel()
	p, ok := readProcess(os.Getpid())
	if !ok || !slices.Contains([]byte("RSD"), p.state) {
		t.Fatalf("cannot read own process: %+v", p)
	}
	if err := signal(p, unix.SIGKILL, func(process) bool { return false }); err != nil {
		t.Error(err)
	}
}

func TestALockWaitsAndIsGivenUp(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: locks are in /run")
	}
	path := layout{dir: t.TempDir()}.lock()
	release, err := lockFile(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if _, err := lockFile(ctx, path); err == nil {
		t.Error("two have the lock")
	}
	var waited sync.WaitGroup
	waited.Go(func() {
		release, err := lockFile(context.Background(), path)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("holds a lock that is not there: %v", err)
		}
		os.Remove(path)
		release()
	})
	os.Remove(path) // under the lock, as Down does
	release()
	waited.Wait()
	os.Remove(racksDir) // if no rack is there
	os.Remove(filepath.Dir(racksDir))
}
