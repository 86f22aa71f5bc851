package treesync

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// neighbour is a Source in this process. After limit bytes of content, unless
// that is negative, its streams break.
type neighbour struct {
	dir   string
	limit int
	sent  int
}

var errBroken = errors.New("the connection broke")

func (n *neighbour) stream(write func(io.Writer) error) (io.ReadCloser, error) {
	var all bytes.Buffer
	if err := write(&all); err != nil {
		return nil, err
	}
	content := all.Bytes()
	n.sent += len(content)
	if n.limit < 0 {
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	whole := len(content) <= n.limit
	content = content[:min(len(content), n.limit)]
	n.limit -= len(content)
	if whole {
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(content), brokenReader{})), nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func (n *neighbour) List(ctx context.Context) (io.ReadCloser, error) {
	return n.stream(func(w io.Writer) error { return List(ctx, n.dir, Listing{}, w) })
}

func (n *neighbour) Read(ctx context.Context, wants []Want) (io.ReadCloser, error) {
	return n.stream(func(w io.Writer) error { return Read(ctx, n.dir, wants, w) })
}

// describe tells all of a tree that is to be equal.
func describe(t testing.TB, dir string) map[string]string {
	t.Helper()
	all, inodes := map[string]string{}, map[uint64]string{}
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		short := strings.TrimPrefix(name, dir)
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		text := fmt.Sprintf("mode %o owner %d:%d device %d modified %d.%d", st.Mode, st.Uid, st.Gid, st.Rdev, st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" content %d %x", len(content), sha256.Sum256(content))
		case unix.S_IFLNK:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			text += " to " + target
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR && st.Nlink > 1 {
			if other := inodes[st.Ino]; other != "" {
				text += " same as " + other
			} else {
				inodes[st.Ino] = short
			}
		}
		fd, err := unix.Open(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			have, err := attributes(fd)
			if err != nil {
				return err
			}
			for _, key := range slices.Sorted(maps.Keys(have)) {
				text += fmt.Sprintf(" %s=%q", key, have[key])
			}
		}
		all[short] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func root(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: owners and devices of files")
	}
}

func pull(t testing.TB, p *Puller, n *neighbour) Stats {
	t.Helper()
	stats, err := p.Pull(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

func same(t testing.TB, from, to string) {
	t.Helper()
	if diff := cmp.Diff(describe(t, from), describe(t, to)); diff != "" {
		t.Fatalf("the copy differs (-source +copy):\n%s", diff)
	}
}

// write makes a file, and the directories that it is in.
func write(t testing.TB, content []byte, parts ...string) string {
	t.Helper()
	name := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// inMemory makes a directory on a file system in memory, where there is one:
// each copy has all written out, for which a busy disk takes minutes.
func inMemory(t testing.TB, until interface{ Cleanup(func()) }) string {
	t.Helper()
	top := "/dev/shm"
	if _, err := os.Stat(top); err != nil {
		top = t.TempDir()
	}
	dir, err := os.MkdirTemp(top, "treesync")
	must(t, err)
	until.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func random(size int) []byte {
	b := make([]byte, size)
	source := rand.NewChaCha8([32]byte{byte(size)})
	_, _ = source.Read(b)
	return b
}

// Everything that a container's root or a volume can hold comes along.
func TestAllSortsOfFiles(t *testing.T) {
	root(t)
	from, to := inMemory(t, t), inMemory(t, t)
	plain := write(t, []byte("content"), from, "a", "plain")
	must(t, os.Chmod(plain, 0o4751))
	must(t, os.Chown(plain, 1234, 4321))
	must(t, os.Chmod(plain, 0o4751))
	must(t, unix.Setxattr(plain, "user.note", []byte{0, 1, 2}, 0))
	must(t, unix.Setxattr(filepath.Join(from, "a"), "trusted.overlay.opaque", []byte("y"), 0))
	must(t, unix.Setxattr(plain, "trusted.overlay.origin", []byte("an inode of this machine"), 0))
	must(t, os.Link(plain, filepath.Join(from, "again")))
	must(t, os.Symlink("../../../etc/passwd", filepath.Join(from, "a", "link")))
	must(t, unix.Mknod(filepath.Join(from, "whiteout"), unix.S_IFCHR, 0))
	must(t, unix.Mkfifo(filepath.Join(from, "fifo"), 0o600))
	must(t, unix.Mknod(filepath.Join(from, "socket"), unix.S_IFSOCK|0o600, 0))
	write(t, nil, from, "empty", "empty")
	write(t, []byte("name without an encoding"), from, "\xff\xfe\n")
	sparse := write(t, nil, from, "sparse")
	must(t, os.Truncate(sparse, 64<<20))
	file, err := os.OpenFile(sparse, os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteAt([]byte("far out"), 40<<20)
	must(t, errors.Join(err, file.Close()))
	write(t, []byte("in the way"), to, "a") // not a directory
	write(t, []byte("too much"), to, "old", "deep", "file")
	must(t, os.Symlink("/", filepath.Join(to, "empty")))

	p, n := NewPuller(to), &neighbour{dir: from, limit: -1}
	pull(t, p, n)
	same(t, from, to)
	if size, err := unix.Getxattr(filepath.Join(to, "a", "plain"), "trusted.overlay.origin", nil); err == nil {
		t.Errorf("the copy points to an inode of another machine, %d bytes", size)
	}
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(to, "sparse"), &st))
	if st.Blocks*512 > 8<<20 {
		t.Errorf("the copy of a sparse file takes %d bytes", st.Blocks*512)
	}
	if entries, err := os.ReadDir("/empty"); err == nil {
		t.Errorf("something was written outside of the tree: %v", entries)
	}
}

// A second copy brings what has changed, by blocks where a file is big.
func TestOnlyWhatChangedIsSent(t *testing.T) {
	from, to := inMemory(t, t), inMemory(t, t)
	big := random(8 << 20)
	name := write(t, big, from, "big")
	for i := range 50 {
		write(t, random(20<<10+i), from, "many", fmt.Sprint(i))
	}
	p, n := NewPuller(to), &neighbour{dir: from, limit: -1}
	if first := pull(t, p, n); first.Bytes < 9_000_000 {
		t.Errorf("first %d bytes came", first.Bytes)
	}
	copy(big[3<<20:], "changed in place")
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteAt(big[3<<20:3<<20+16], 3<<20)
	must(t, errors.Join(err, file.Close()))
	write(t, []byte("new"), from, "many", "7")
	if again := pull(t, p, n); again.Bytes > 2*minBlock+3 {
		t.Errorf("then %d bytes came", again.Bytes)
	}
	same(t, from, to)
	// Who has forgotten what came asks by what is there.
	if forgetful := pull(t, NewPuller(to), n); forgetful.Bytes != 0 {
		t.Errorf("at last %d bytes came", forgetful.Bytes)
	}
	same(t, from, to)
}

// Names of one file may become files of their own, and the other way round.
func TestHardLinksComeAndGo(t *testing.T) {
	from, to := inMemory(t, t), inMemory(t, t)
	one, two := write(t, []byte("first"), from, "one"), filepath.Join(from, "two")
	must(t, os.Link(one, two))
	p, n := NewPuller(to), &neighbour{dir: from, limit: -1}
	pull(t, p, n)
	same(t, from, to)
	must(t, os.Remove(two))
	write(t, []byte("second"), two)
	pull(t, p, n)
	same(t, from, to)
	must(t, os.Remove(one))
	must(t, os.Link(two, one))
	pull(t, p, n)
	same(t, from, to)
}

// A stream that breaks at any byte is gone on with, and what came is not sent again.
func TestBrokenStreamsAreResumed(t *testing.T) {
	from, to := inMemory(t, t), inMemory(t, t)
	for i := range 8 {
		write(t, random(300<<10+i), from, fmt.Sprint("dir", i%3), fmt.Sprint(i))
	}
	whole := &neighbour{dir: from, limit: -1}
	pull(t, NewPuller(inMemory(t, t)), whole)
	sent, rounds := 0, 0
	for limit := 1000; ; limit += 10_000 + sent%40_961 {
		n := &neighbour{dir: from, limit: limit % 900_000}
		_, err := NewPuller(to).Pull(t.Context(), n) // each time by one who knows nothing
		sent, rounds = sent+n.limit, rounds+1
		if err == nil {
			break
		}
		if !errors.Is(err, errBroken) && !errors.Is(err, errShort) {
			t.Fatal(err)
		}
		if rounds > 500 {
			t.Fatal("it never comes to an end")
		}
	}
	same(t, from, to)
}

// A list that ends anywhere is one that ends too early, or broke.
func TestBrokenLists(t *testing.T) {
	dir := inMemory(t, t)
	write(t, []byte("x"), dir, "a", "b")
	var whole bytes.Buffer
	must(t, List(t.Context(), dir, Listing{Still: true}, &whole))
	for length := range whole.Len() - 1 {
		cut := whole.Bytes()[:length]
		if _, err := readEntries(bytes.NewReader(cut)); !errors.Is(err, errShort) {
			t.Fatalf("after %d of %d bytes: %v", length, whole.Len(), err)
		}
		if _, err := readEntries(io.MultiReader(bytes.NewReader(cut), brokenReader{})); !errors.Is(err, errBroken) {
			t.Fatalf("broken after %d of %d bytes: %v", length, whole.Len(), err)
		}
	}
	if all, err := readEntries(&whole); err != nil || len(all) != 3 {
		t.Errorf("a whole list is %+v, %v", all, err)
	}
}

// Whatever is done to a tree between two copies, they are equal after each.
func TestCopiesAreEqual(t *testing.T) {
	names := []string{"a", "b", "c", "d/a", "d/b", "d/e/a", "f"}
	rapid.Check(t, func(r *rapid.T) {
		from, to := inMemory(t, r), inMemory(t, r)
		p, n := NewPuller(to), &neighbour{dir: from, limit: -1}
		for range rapid.IntRange(1, 5).Draw(r, "rounds") {
			for range rapid.IntRange(0, 8).Draw(r, "changes") {
				change(t, r, from, rapid.SampledFrom(names).Draw(r, "name"), rapid.SampledFrom(names).Draw(r, "other"))
			}
			if rapid.Bool().Draw(r, "breaks") {
				n.limit = rapid.IntRange(0, 3000).Draw(r, "limit")
				_, _ = p.Pull(t.Context(), n)
				n.limit = -1
			}
			if rapid.Bool().Draw(r, "forgets") {
				p = NewPuller(to)
			}
			if _, err := p.Pull(t.Context(), n); err != nil {
				r.Fatal(err)
			}
			if diff := cmp.Diff(describe(t, from), describe(t, to)); diff != "" {
				r.Fatalf("the copy differs (-source +copy):\n%s", diff)
			}
		}
	})
}

// change does one thing to a tree; what cannot be done is left.
func change(t testing.TB, r *rapid.T, dir, base, other string) {
	name, target := filepath.Join(dir, base), filepath.Join(dir, other)
	_ = os.MkdirAll(filepath.Dir(name), 0o755)
	switch rapid.SampledFrom([]string{"write", "append", "remove", "mkdir", "link", "symlink", "rename", "mode", "truncate"}).Draw(r, "what") {
	case "write":
		_ = os.WriteFile(name, random(rapid.IntRange(0, 300<<10).Draw(r, "size")), 0o644)
	case "append":
		if f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0); err == nil {
			_, err = f.Write([]byte("more"))
			must(t, errors.Join(err, f.Close()))
		}
	case "remove":
		_ = os.RemoveAll(name)
	case "mkdir":
		_ = os.Mkdir(name, 0o700)
	case "link":
		_ = os.Link(target, name)
	case "symlink":
		_ = os.Symlink(other, name)
	case "rename":
		_ = os.Rename(name, target)
	case "mode":
		_ = os.Chmod(name, os.FileMode(rapid.IntRange(0o700, 0o777).Draw(r, "mode")))
	case "truncate":
		_ = os.Truncate(name, int64(rapid.IntRange(0, 200<<10).Draw(r, "length")))
	}
}

// A tree that changes while it is copied breaks nothing, and is equal in the end.
func TestATreeThatChangesMeanwhile(t *testing.T) {
	from, to := inMemory(t, t), inMemory(t, t)
	write(t, random(1<<20), from, "steady")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			dir := filepath.Join(from, fmt.Sprint(i%5))
			_ = os.RemoveAll(dir)
			if i%7 == 0 {
				_ = os.Symlink("/", dir)
			} else if os.Mkdir(dir, 0o755) == nil {
				_ = os.WriteFile(filepath.Join(dir, "file"), random(i%100_000), 0o644)
			}
		}
	}()
	p, n := NewPuller(to), &neighbour{dir: from, limit: -1}
	for range 10 {
		pull(t, p, n)
	}
	close(stop)
	<-done
	pull(t, p, n)
	same(t, from, to)
}

// What a name leads to when it is read may not be what was listed: it does not
// count as that.
func TestANameThatLeadsElsewhere(t *testing.T) {
	from, to := inMemory(t, t), inMemory(t, t)
	write(t, []byte("right"), from, "d", "file")
	write(t, []byte("wrong"), from, "e", "file")
	hidden := filepath.Join(from, "hidden")
	p := NewPuller(to)
	swapped := &swapping{neighbour: neighbour{dir: from, limit: -1}, before: func() {
		must(t, os.Rename(filepath.Join(from, "d"), hidden))
		must(t, os.Symlink("e", filepath.Join(from, "d")))
	}}
	// Old enough to have a version: only then does it matter.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		var list bytes.Buffer
		must(t, List(t.Context(), from, Listing{}, &list))
		if strings.Count(list.String(), `"v":`) == 5 || time.Now().After(deadline) {
			break
		}
	}
	if _, err := p.Pull(t.Context(), swapped); err != nil {
		t.Fatal(err)
	}
	must(t, os.Remove(filepath.Join(from, "d")))
	must(t, os.Rename(hidden, filepath.Join(from, "d")))
	pull(t, p, &swapped.neighbour)
	same(t, from, to)
}

// swapping changes the tree between its list and its content.
type swapping struct {
	neighbour
	before func()
}

func (s *swapping) Read(ctx context.Context, wants []Want) (io.ReadCloser, error) {
	s.before()
	return s.neighbour.Read(ctx, wants)
}

func FuzzEntries(f *testing.F) {
	var whole bytes.Buffer
	dir := inMemory(f, f)
	write(f, []byte("x"), dir, "a", "b")
	must(f, List(f.Context(), dir, Listing{}, &whole))
	f.Add(whole.Bytes())
	f.Add([]byte(`{"m":16877,"t":[0,0]}` + "\n" + `{"p":"Li4vYQ==","m":33188,"t":[0,0]}` + "\n" + `{"end":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := readEntries(bytes.NewReader(data))
		if err != nil {
			return
		}
		for i := range all {
			name := string(all[i].Path)
			if filepath.IsAbs(name) || name != "" && !filepath.IsLocal(name) {
				t.Fatalf("%q leads out of the tree", name)
			}
		}
	})
}

// sink takes content, and remembers how big it would be.
type sink struct{ size int64 }

func (s *sink) WriteAt(b []byte, at int64) (int, error) {
	s.size = max(s.size, at+int64(len(b)))
	return len(b), nil
}

func (s *sink) Truncate(size int64) error { s.size = size; return nil }

func FuzzContent(f *testing.F) {
	dir := inMemory(f, f)
	write(f, random(300<<10), dir, "a")
	var whole bytes.Buffer
	must(f, Read(f.Context(), dir, []Want{{Path: []byte("a"), Block: minBlock}}, &whole))
	f.Add(whole.Bytes()[:1000])
	f.Add([]byte("H\x00\x00\x00\x05E\x00\x00\x00\x00\x00\x00\x00\x05\x01Z"))
	f.Add([]byte("XZ"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in, to := newContentReader(bytes.NewReader(data)), &sink{}
		hashes, size, _, err := in.file(to, Want{Block: minBlock})
		if err != nil || size < 0 {
			return
		}
		if to.size != size || int64(len(hashes)) > (size+minBlock-1)/minBlock*hashSize {
			t.Fatalf("%d bytes, %d bytes of hashes, told %d", to.size, len(hashes), size)
		}
	})
}
