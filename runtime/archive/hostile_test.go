package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/archive"
)

// hostile returns archives that try to get out of a container, or to break
// something on the way.
func hostile(t testing.TB) map[string][]byte {
	sparse := file("sparse", "x")
	sparse.PAXRecords = map[string]string{"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.overlay.opaque": "y"}
	device := entry{Header: tar.Header{Typeflag: tar.TypeChar, Name: "whiteout", Mode: 0o600}}
	owner := file("owner", "x")
	owner.Uid = 1 << 32
	long := file(strings.Repeat("n/", 3000)+"n", "x")
	out := map[string][]byte{
		"dots":                      pack(t, file("../../../../etc/passwd", "evil")),
		"dots inside":               pack(t, file("a/../../../secret", "evil")),
		"absolute":                  pack(t, file("/etc/passwd", "evil"), file("//etc/passwd", "evil")),
		"through an absolute link":  pack(t, link("etc", "/etc"), file("etc/passwd", "evil")),
		"through a relative link":   pack(t, link("out", "../../../etc"), file("out/passwd", "evil")),
		"through its own link":      pack(t, link("f", "../secret"), file("f", "evil")),
		"through a chain":           pack(t, link("a", "b"), link("b", ".."), file("a/secret", "evil")),
		"through a loop":            pack(t, link("a", "b"), link("b", "a"), file("a/x", "evil")),
		"directory over link":       pack(t, link("d", ".."), dir("d"), file("d/secret", "evil")),
		"hard link with dots":       pack(t, hard("h", "../../secret"), file("h", "evil")),
		"hard link absolute":        pack(t, hard("h", "/etc/shadow"), file("h", "evil")),
		"hard link through link":    pack(t, link("out", ".."), hard("h", "out/secret"), file("h", "evil")),
		"hard link to link":         pack(t, link("l", "../secret"), hard("h", "l"), file("h", "evil")),
		"hard link to a directory":  pack(t, dir("d"), hard("h", "d")),
		"attributes of the overlay": pack(t, sparse),
		"whiteout device":           pack(t, device),
		"owner beyond 32 bits":      pack(t, owner),
		"long name":                 pack(t, long),
		"long part":                 pack(t, file(strings.Repeat("n", 300), "x")),
		"unknown type":              pack(t, entry{Header: tar.Header{Typeflag: 'Z', Name: "z"}}),
		"below a file":              pack(t, file("f", "x"), file("f/x", "x")),
		"cut short":                 pack(t, file("f", strings.Repeat("x", 4096)))[:2048],
		"no archive":                bytes.Repeat([]byte("body"), 1000),
		"gzip of nothing":           {0x1f, 0x8b, 8, 0},
		"xz of nothing":             []byte("\xfd7zXZ\x00"),
		"bzip2 of nothing":          []byte("BZh9"),
		"zstd of nothing":           {0x28, 0xb5, 0x2f, 0xfd},
		"empty":                     {},
	}
	return out
}

func TestHostileArchivesStayInsideOfTheContainer(t *testing.T) {
	t.Parallel()
	for name, body := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			if err := os.Mkdir(filepath.Join(b.root, "in"), 0o755); err != nil {
				t.Fatal(err)
			}
			before := b.around(t)
			err := b.open(t).Write(t.Context(), "/in", archive.WriteOptions{}, bytes.NewReader(body))
			if diff := cmp.Diff(before, b.around(t)); diff != "" {
				t.Errorf("something outside changed (-before +after):\n%s", diff)
			}
			if err != nil && !model.IsKind(err, model.KindInvalid) {
				t.Errorf("error of kind %s, want invalid: %v", model.KindOf(err), err)
			}
			if err != nil && strings.Contains(model.UserText(err), b.outside) {
				t.Errorf("the user reads a path of the node: %q", model.UserText(err))
			}
		})
	}
}

// A container that exchanges a directory for a link to the node's, as fast as
// it can, gets nothing of the node's read, written or changed.
func TestSwappedNamesLeadNowhere(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	in := func(name string) string { return filepath.Join(b.root, name) }
	write(t, in("real/passwd"), "mine")
	write(t, in("real/deep/passwd"), "mine")
	if err := os.Symlink(filepath.Join(b.outside, "etc"), in("evil")); err != nil { // what a link to /etc would be
		t.Fatal(err)
	}
	if err := os.Symlink("real", in("swap")); err != nil {
		t.Fatal(err)
	}
	before := b.around(t)
	stop := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, in("evil"), unix.AT_FDCWD, in("real"), unix.RENAME_EXCHANGE)
			}
		}
	})
	r := b.open(t)
	body := pack(t, file("real/passwd", "evil"), dir("real/deep"), file("real/deep/shadow", "evil"), file("evil/passwd", "evil"), hard("hard", "evil/shadow"))
	var wrote, read int
	for range 50 {
		if r.Write(t.Context(), "/", archive.WriteOptions{}, bytes.NewReader(body)) == nil {
			wrote++
		}
		for _, path := range []string{"/", "/real", "/evil/passwd", "/real/deep/", "/swap/passwd"} {
			_, stream, err := r.Read(t.Context(), path)
			if err != nil {
				continue
			}
			entries, err := entriesOf(stream)
			stream.Close()
			if err == nil {
				read++
			}
			for _, e := range entries {
				if e.content == "root" || e.content == "x" {
					t.Fatalf("%s of the node was read as %s", e.content, e.Name)
				}
			}
			if _, err := r.Stat(path); err != nil && !model.IsKind(err, model.KindNotFound) && !model.IsKind(err, model.KindInvalid) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	close(stop)
	swapping.Wait()
	if diff := cmp.Diff(before, b.around(t)); diff != "" {
		t.Errorf("something outside changed (-before +after):\n%s", diff)
	}
	if read == 0 {
		t.Error("nothing was ever read: the swap left no moment for it")
	}
	t.Logf("%d archives written whole, %d read", wrote, read)
}

// Files that are exchanged for devices and pipes are never opened.
func TestSwappedFilesAreNotOpened(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	in := func(name string) string { return filepath.Join(b.root, name) }
	write(t, in("file"), "mine")
	if err := unix.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, in("file"), unix.AT_FDCWD, in("pipe"), unix.RENAME_EXCHANGE)
			}
		}
	})
	defer swapping.Wait()
	defer close(stop)
	r := b.open(t)
	for range 100 { // a pipe that were opened would hold this up for ever
		for _, e := range read(t, r, "/file") {
			if e.Typeflag != tar.TypeFifo && e.content != "mine" {
				t.Fatalf("read %q of type %q", e.content, e.Typeflag)
			}
		}
	}
}

func TestDeepTreesEndInAnError(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	at, err := unix.Open(b.root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 3000 { // deeper than any one path can say
		if err := unix.Mkdirat(at, "d", 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(at, "d", unix.O_PATH|unix.O_DIRECTORY, 0)
		unix.Close(at)
		if err != nil {
			t.Fatal(err)
		}
		at = next
	}
	unix.Close(at)
	_, stream, err := b.open(t).Read(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := io.Copy(io.Discard, stream); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("reading ends with %v", err)
	}
}

func TestReadingEndsWithItsReader(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	write(t, filepath.Join(b.root, "big"), strings.Repeat("x", 8<<20))
	r := b.open(t)
	_, stream, err := r.Read(t.Context(), "/big")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Close(); err != nil { // it would wait for the work
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, stream, err = r.Read(ctx, "/big")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	cancel()
	if _, err := io.Copy(io.Discard, stream); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context the stream ends with %v", err)
	}
}

func TestFullDisksAreToldPlainly(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(small, unix.MNT_DETACH)
	r := b.open(t, archive.Mount{Source: small, Target: "/small"})
	err := r.Write(t.Context(), "/small", archive.WriteOptions{}, bytes.NewReader(pack(t, file("big", strings.Repeat("x", 1<<20)))))
	if !model.IsKind(err, model.KindExhausted) || model.UserText(err) != `cannot write "big": no space left on device` {
		t.Errorf("%v (%s)", err, model.KindOf(err))
	}
}
