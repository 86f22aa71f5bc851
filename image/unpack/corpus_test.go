package unpack_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/image/unpack"
	"github.com/spearheadcloud/spearhead/model"
)

// sandbox is a tree to unpack into, with things around it that must stay as
// they are.
type sandbox struct{ outside, root string }

func newSandbox(t testing.TB) sandbox {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: layers hold devices and owners")
	}
	outside := t.TempDir()
	box := sandbox{outside, filepath.Join(outside, "root")}
	for name, content := range map[string]string{"secret": "secret", "etc/passwd": "root", "etc/shadow": "x"} {
		full := filepath.Join(outside, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(box.root, 0o755); err != nil {
		t.Fatal(err)
	}
	return box
}

// around describes everything outside of the tree.
func (b sandbox) around(t testing.TB) map[string]string {
	t.Helper()
	return describe(t, b.outside, b.root)
}

func describe(t testing.TB, top, without string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == without {
			return filepath.SkipDir
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		content := ""
		if entry.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = string(data)
		}
		found[path] = fmt.Sprintf("%o %d:%d %d %q", st.Mode, st.Uid, st.Gid, st.Nlink, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (b sandbox) apply(layer []byte) (unpack.Result, error) {
	return unpack.Apply(context.Background(), b.root, bytes.NewReader(layer), testLimits())
}

func testLimits() unpack.Limits {
	l := unpack.DefaultLimits()
	l.Bytes, l.RatioFree, l.Entries = 48<<20, 8<<20, 5000
	return l
}

func entry(typeflag byte, name, link string) imagetest.Entry {
	return imagetest.Entry{Header: tar.Header{Typeflag: typeflag, Name: name, Linkname: link, Mode: 0o644}}
}

// hostile returns layers that try to get out, or to cost too much. refused
// says that the pull must fail; others may be unpacked inside of the tree.
func hostile(t testing.TB) map[string]struct {
	layers  [][]byte
	refused bool
} {
	type try = struct {
		layers  [][]byte
		refused bool
	}
	one := func(refused bool, entries ...imagetest.Entry) try {
		return try{[][]byte{imagetest.Tar(t, entries...)}, refused}
	}
	file, link, hard := imagetest.File, imagetest.Symlink, imagetest.Hardlink
	many := make([]imagetest.Entry, 5001)
	for i := range many {
		many[i] = file(fmt.Sprintf("f%d", i), "", 0o644)
	}
	big := imagetest.Tar(t, file("zeros", strings.Repeat("\x00", 60<<20), 0o644))
	device := entry(tar.TypeChar, "null", "")
	whiteoutDevice := device
	device.Devmajor, device.Devminor = 1, 3
	xattr := file("x", "", 0o644)
	xattr.PAXRecords = map[string]string{"SCHILY.xattr.user.big": strings.Repeat("x", 65<<10)}
	overlay := imagetest.Dir("d/", 0o755)
	overlay.PAXRecords = map[string]string{"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.trusted.overlay.opaque": "y"}
	owner := file("x", "", 0o644)
	owner.Uid = 1 << 32
	return map[string]try{
		"absolute name":                one(false, file("/etc/passwd", "evil", 0o644)),
		"dots in name":                 one(false, file("../../../../../../etc/passwd", "evil", 0o644), file("a/../../../secret", "evil", 0o644)),
		"write through absolute link":  one(true, link("etc", "/etc"), file("etc/passwd", "evil", 0o644)),
		"write through relative link":  one(true, link("out", "../etc"), file("out/passwd", "evil", 0o644)),
		"write through own link":       one(false, link("f", "../secret"), file("f", "evil", 0o644)),
		"write through lower link":     {[][]byte{imagetest.Tar(t, link("d", "..")), imagetest.Tar(t, file("d/secret", "evil", 0o644))}, false},
		"link chain":                   one(false, link("a", "b"), link("b", ".."), file("a/secret", "evil", 0o644)),
		"link loop":                    one(true, link("a", "b"), link("b", "a"), file("a/x", "evil", 0o644)),
		"hard link to absolute":        one(true, hard("h", "/etc/shadow")),
		"hard link with dots":          one(true, hard("h", "../../secret")),
		"hard link through link":       one(true, link("out", ".."), hard("h", "out/secret")),
		"hard link to link, written":   one(false, link("l", "../secret"), hard("h", "l"), file("h", "evil", 0o644)),
		"hard link to directory":       one(true, imagetest.Dir("d/", 0o755), hard("h", "d")),
		"hard link to root":            one(true, hard("h", "/")),
		"directory over link":          one(false, link("d", ".."), imagetest.Dir("d/", 0o777)),
		"chmod through link":           one(false, link("l", "../secret"), imagetest.Entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "../secret", Mode: 0o6777}}),
		"whiteout through link":        {[][]byte{imagetest.Tar(t, link("out", "..")), imagetest.Tar(t, file("out/.wh.secret", "", 0))}, false},
		"whiteout of dots":             one(true, file("a/x", "", 0o644), file("a/.wh...", "", 0)),
		"whiteout of nothing":          one(true, file("a/x", "", 0o644), file("a/.wh.", "", 0)),
		"opaque dots":                  one(false, file("../.wh..wh..opq", "", 0), file("../../.wh..wh..opq", "", 0)),
		"opaque through link":          {[][]byte{imagetest.Tar(t, link("out", "../etc")), imagetest.Tar(t, file("out/.wh..wh..opq", "", 0))}, false},
		"device":                       one(false, device),
		"whiteout device":              one(true, whiteoutDevice),
		"fifo":                         one(false, entry(tar.TypeFifo, "pipe", "")),
		"unknown type":                 one(true, entry('Z', "x", "")),
		"setuid":                       one(false, file("su", "x", 0o6755)),
		"file over directory":          one(false, file("d/x", "", 0o644), file("d", "file", 0o644)),
		"directory over file":          one(false, file("d", "file", 0o644), imagetest.Dir("d/", 0o755), file("d/x", "", 0o644)),
		"name below a file":            one(true, file("f", "", 0o644), file("f/x", "", 0o644)),
		"root as file":                 one(true, file(".", "x", 0o644)),
		"long name":                    one(true, file(strings.Repeat("n/", 2500)+"n", "", 0o644)),
		"long part":                    one(true, file(strings.Repeat("n", 300), "", 0o644)),
		"too many entries":             {[][]byte{imagetest.Gzip(imagetest.Tar(t, many...)).Blob}, true},
		"gzip bomb":                    {[][]byte{imagetest.Gzip(big).Blob}, true},
		"zstd bomb":                    {[][]byte{imagetest.Zstd(big).Blob}, true},
		"small zstd bomb":              {[][]byte{imagetest.Zstd(imagetest.Tar(t, file("zeros", strings.Repeat("\x00", 40<<20), 0o644))).Blob}, true},
		"a packed file of zeros":       {[][]byte{imagetest.Gzip(imagetest.Tar(t, file("zeros", strings.Repeat("\x00", 40<<20), 0o644))).Blob}, false},
		"nested gzip":                  {[][]byte{imagetest.Gzip(imagetest.Gzip(imagetest.Tar(t, file("x", "", 0o644))).Blob).Blob}, true},
		"zstd window":                  {[][]byte{hugeWindow(t)}, true},
		"truncated tar":                {[][]byte{imagetest.Tar(t, file("x", strings.Repeat("x", 4096), 0o644))[:2048]}, true},
		"truncated gzip":               {[][]byte{imagetest.Gzip(imagetest.Tar(t, file("x", strings.Repeat("x", 4096), 0o644))).Blob[:40]}, true},
		"sparse giant":                 {[][]byte{sparseGiant()}, true},
		"not an archive":               {[][]byte{bytes.Repeat([]byte("layer"), 1000)}, true},
		"big extended attribute":       one(true, xattr),
		"overlay's own attributes":     one(false, overlay),
		"owner beyond 32 bits":         one(true, owner),
		"zero byte in a name":          {[][]byte{rawHeader("a\x00b", '0', nil)}, false},
		"zero byte in a pax path":      {[][]byte{paxPath("a\x00b")}, true},
		"huge pax record":              {[][]byte{paxPath(strings.Repeat("p", 2<<20))}, true},
		"size in pax beyond the bytes": {[][]byte{rawHeader("h", 'x', []byte("21 size=9999999999999\n"))}, true},
	}
}

// hugeWindow is a zstd frame that asks for a window of 2 GiB.
func hugeWindow(t testing.TB) []byte {
	t.Helper()
	const windowLog31 = (31 - 10) << 3
	header := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, windowLog31, 0x01, 0x00, 0x00}
	var decoded zstd.Header
	if err := decoded.Decode(header); err != nil || decoded.WindowSize != 2<<30 {
		t.Fatalf("the frame asks for %d bytes (%v)", decoded.WindowSize, err)
	}
	return header
}

// rawHeader is an archive of one old-style header that Go's writer would not
// write.
func rawHeader(name string, typeflag byte, content []byte) []byte {
	block := make([]byte, 512)
	copy(block, name)
	copy(block[100:], "0000644\x000000000\x000000000\x00")
	copy(block[124:], fmt.Sprintf("%011o\x0000000000000\x00", len(content)))
	block[156] = typeflag
	copy(block[257:], "ustar\x0000")
	copy(block[148:], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
	out := append(block, content...)
	if rest := len(out) % 512; rest != 0 {
		out = append(out, make([]byte, 512-rest)...)
	}
	if typeflag == 'x' {
		return append(out, rawHeader("f", '0', []byte("x"))...)
	}
	return append(out, make([]byte, 1024)...)
}

func paxPath(path string) []byte {
	record := " path=" + path + "\n"
	length := len(record) + 1
	for len(fmt.Sprint(length))+len(record) != length {
		length++
	}
	return rawHeader("h", 'x', []byte(fmt.Sprint(length)+record))
}

// sparseGiant is a file of the old GNU sparse kind: one byte, and a hole that
// makes it 8 GiB.
func sparseGiant() []byte {
	raw := rawHeader("giant", 'S', []byte("x"))
	copy(raw[386:], "77777777777\x0000000000001\x00")
	copy(raw[483:], "77777777777\x00")
	copy(raw[148:], "        ")
	sum := 0
	for _, b := range raw[:512] {
		sum += int(b)
	}
	copy(raw[148:], fmt.Sprintf("%06o\x00 ", sum))
	return raw
}

func TestHostileLayersStayInsideOfTheirTree(t *testing.T) {
	t.Parallel()
	for name, try := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t)
			before := box.around(t)
			var err error
			for _, layer := range try.layers {
				if _, err = box.apply(layer); err != nil {
					break
				}
			}
			if diff := cmp.Diff(before, box.around(t)); diff != "" {
				t.Errorf("something outside of the tree changed (-before +after):\n%s", diff)
			}
			if err != nil && !model.IsKind(err, model.KindInvalid) {
				t.Errorf("error of kind %s, want invalid: %v", model.KindOf(err), err)
			}
			if try.refused != (err != nil) {
				t.Errorf("refused: %v (%v), want %v", err != nil, err, try.refused)
			}
			if err != nil && strings.Contains(model.UserText(err), box.outside) {
				t.Errorf("the user reads a path of the node: %q", model.UserText(err))
			}
		})
	}
}

func TestLimitsAreInclusive(t *testing.T) {
	t.Parallel()
	three := imagetest.Tar(t, imagetest.File("a", "12345", 0o644), imagetest.File("b", "", 0o644), imagetest.File("c", "67890", 0o644))
	size := int64(len(three))
	for _, test := range []struct {
		name string
		set  func(*unpack.Limits, int)
		at   int
	}{
		{"entries", func(l *unpack.Limits, n int) { l.Entries = n }, 3},
		{"bytes", func(l *unpack.Limits, n int) { l.Bytes = int64(n) }, int(size)},
		{"names", func(l *unpack.Limits, n int) { l.Names = int64(n) }, 3},
		{"path", func(l *unpack.Limits, n int) { l.Path = n }, 1},
	} {
		for _, off := range []int{0, -1} {
			box := newSandbox(t)
			limits := testLimits()
			test.set(&limits, test.at+off)
			_, err := unpack.Apply(t.Context(), box.root, bytes.NewReader(three), limits)
			if (err != nil) != (off < 0) {
				t.Errorf("%s of %d%+d: %v", test.name, test.at, off, err)
			}
		}
	}
}

func TestLayerKeepsWhatItSays(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	stamp := time.Unix(1_600_000_000, 123_000_000)
	program := imagetest.File("bin/ping", "elf", 0o4711)
	program.Uid, program.Gid, program.ModTime, program.Format = 7, 8, stamp, tar.FormatPAX
	program.PAXRecords = map[string]string{"SCHILY.xattr.user.note": "hello"}
	dir := imagetest.Dir("var/", 0o1777)
	dir.ModTime, dir.Format = stamp, tar.FormatPAX
	archive := imagetest.Tar(t, dir, imagetest.File("var/late", "x", 0o600), program, imagetest.Symlink("var/run", "/run"))
	members := append(imagetest.Gzip(archive[:512]).Blob, imagetest.Gzip(archive[512:]).Blob...) // two gzip members
	result, err := box.apply(members)
	if err != nil {
		t.Fatal(err)
	}
	if want := imagetest.Plain(archive).DiffID; result.DiffID != want || result.Size != 4 || result.Entries != 4 {
		t.Errorf("result %+v, want digest %s, 4 bytes in 4 entries", result, want)
	}
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(box.root, "bin/ping"), &st); err != nil {
		t.Fatal(err)
	}
	if st.Mode != unix.S_IFREG|0o4711 || st.Uid != 7 || st.Gid != 8 || st.Mtim.Nano() != stamp.UnixNano() {
		t.Errorf("mode %o of %d:%d at %d", st.Mode, st.Uid, st.Gid, st.Mtim.Nano())
	}
	note := make([]byte, 16)
	if n, err := unix.Lgetxattr(filepath.Join(box.root, "bin/ping"), "user.note", note); err != nil || string(note[:n]) != "hello" {
		t.Errorf("attribute %q (%v)", note[:max(n, 0)], err)
	}
	if err := unix.Lstat(filepath.Join(box.root, "var"), &st); err != nil || st.Mode != unix.S_IFDIR|0o1777 || st.Mtim.Nano() != stamp.UnixNano() {
		t.Errorf("directory has mode %o at %d (%v): its time must survive what is put into it", st.Mode, st.Mtim.Nano(), err)
	}
}

func TestWhiteoutsLeaveTheirOwnLayerAlone(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	file := imagetest.File
	lower := imagetest.Tar(t, file("d/old", "", 0o644), file("d/sub/old", "", 0o644), file("gone/x", "", 0o644), file("keep", "", 0o644))
	upper := imagetest.Tar(t, file("d/sub/new", "", 0o644), file("d/.wh..wh..opq", "", 0), file(".wh.gone", "", 0), file("keep", "2", 0o644), file(".wh.keep", "", 0))
	for _, layer := range [][]byte{lower, upper} {
		if _, err := box.apply(layer); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for path := range describe(t, box.root, "") {
		got = append(got, strings.TrimPrefix(path, box.root))
	}
	want := []string{"", "/d", "/d/sub", "/d/sub/new", "/keep"}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(got))); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestEndOfContextEndsUnpacking(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	layer := imagetest.Tar(t, imagetest.File("x", "", 0o644))
	if _, err := unpack.Apply(ctx, box.root, bytes.NewReader(layer), testLimits()); err != context.Canceled {
		t.Errorf("%v, want canceled", err)
	}
}

// FuzzApply holds any bytes to the one promise: nothing outside changes.
func FuzzApply(f *testing.F) {
	for _, try := range hostile(f) {
		for _, layer := range try.layers {
			if len(layer) < 64<<10 {
				f.Add(layer)
			}
		}
	}
	f.Fuzz(func(t *testing.T, layer []byte) {
		box := newSandbox(t)
		before := box.around(t)
		limits := testLimits()
		limits.Bytes, limits.RatioFree, limits.Entries = 1<<20, 64<<10, 100
		for range 2 { // the second time through what the first one made
			if _, err := unpack.Apply(t.Context(), box.root, bytes.NewReader(layer), limits); err != nil && !model.IsKind(err, model.KindInvalid) {
				t.Errorf("error of kind %s: %v", model.KindOf(err), err)
			}
		}
		if diff := cmp.Diff(before, box.around(t)); diff != "" {
			t.Errorf("something outside of the tree changed:\n%s", diff)
		}
	})
}

func BenchmarkApply(b *testing.B) {
	box := newSandbox(b)
	var entries []imagetest.Entry
	for i := range 2000 {
		entries = append(entries, imagetest.File(fmt.Sprintf("usr/share/%d/%d", i/50, i), strings.Repeat("some text ", 1000), 0o644))
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	archive := imagetest.Tar(b, entries...)
	if _, err := io.Copy(w, bytes.NewReader(archive)); err != nil {
		b.Fatal(err)
	}
	w.Close()
	b.SetBytes(int64(len(archive)))
	for i := 0; b.Loop(); i++ {
		root := filepath.Join(box.root, fmt.Sprint(i))
		if err := os.Mkdir(root, 0o755); err != nil {
			b.Fatal(err)
		}
		if _, err := unpack.Apply(b.Context(), root, bytes.NewReader(packed.Bytes()), unpack.DefaultLimits()); err != nil {
			b.Fatal(err)
		}
	}
}
