package archive_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/archive"
)

var oddNames = []string{
	"plain", "-rf", "--", "with space", "line\nbreak", "tab\t", "quote'\"", "back\\slash", "größe", "日本語", "\xff\xfe", "*?[x]", "~", "...", ".hidden", ".wh.x",
	"%s", "$(x)", strings.Repeat("n", 255), strings.Repeat("ü", 127),
}

// treeOf draws the archive of a tree, as Read writes it: sorted, directories
// first, whole seconds.
func treeOf(t *rapid.T) []entry {
	dirs := []string{""}
	taken := map[string]bool{}
	var entries []entry
	for range rapid.IntRange(0, 25).Draw(t, "files") {
		name := rapid.SampledFrom(dirs).Draw(t, "dir") + rapid.SampledFrom(oddNames).Draw(t, "name")
		if taken[name] || len(name) > 3000 {
			continue
		}
		taken[name] = true
		e := entry{Header: tar.Header{
			Name: name, Mode: int64(rapid.IntRange(0, 0o7777).Draw(t, "mode")),
			Uid: rapid.SampledFrom([]int{0, 1, 1000, 65534, 1 << 30}).Draw(t, "uid"), Gid: rapid.SampledFrom([]int{0, 5, 1<<32 - 3}).Draw(t, "gid"),
			ModTime: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), 0),
		}}
		switch kind := rapid.SampledFrom([]byte{tar.TypeReg, tar.TypeReg, tar.TypeDir, tar.TypeDir, tar.TypeSymlink, tar.TypeFifo, tar.TypeChar, tar.TypeBlock, tar.TypeLink}).Draw(t, "type"); kind {
		case tar.TypeDir:
			dirs = append(dirs, name+"/")
			e.Name, e.Typeflag = name+"/", kind
		case tar.TypeSymlink:
			e.Typeflag, e.Linkname, e.Mode = kind, rapid.SampledFrom([]string{"/etc/passwd", "..", "a b", "\xff", strings.Repeat("x", 300)}).Draw(t, "target"), 0o777
		case tar.TypeChar, tar.TypeBlock:
			e.Typeflag, e.Devmajor, e.Devminor = kind, 1, int64(rapid.IntRange(1, 300).Draw(t, "minor"))
		case tar.TypeFifo:
			e.Typeflag = kind
		default:
			e.Typeflag = tar.TypeReg
			e.content = rapid.SampledFrom([]string{"", "x", strings.Repeat("data", 50_000), strings.Repeat("\x00", 1<<20), "x" + strings.Repeat("\x00", 3<<20) + "y", strings.Repeat("\x00", 1<<20-1) + "z"}).Draw(t, "content")
			if rapid.Bool().Draw(t, "attribute") {
				e.PAXRecords = map[string]string{"SCHILY.xattr.user.note": "a\x00b\n", "SCHILY.xattr.security.capability": capability}
			}
		}
		entries = append(entries, e)
	}
	// A name of a directory that was drawn after what is in it cannot be; and
	// the order is that of a walk: the parts of names, one after the other.
	slices.SortFunc(entries, func(a, b entry) int {
		return slices.Compare(strings.Split(strings.TrimSuffix(a.Name, "/"), "/"), strings.Split(strings.TrimSuffix(b.Name, "/"), "/"))
	})
	return withHardLinks(t, entries)
}

// capability lets a program bind low ports: cap_net_bind_service+ep.
const capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// withHardLinks makes some files names of earlier ones.
func withHardLinks(t *rapid.T, entries []entry) []entry {
	first := -1
	for i := range entries {
		e := &entries[i]
		switch {
		case e.Typeflag != tar.TypeReg:
		case first < 0:
			first = i
		case rapid.IntRange(0, 3).Draw(t, "link") == 0:
			was := entries[first]
			name := e.Name
			*e = entry{Header: was.Header}
			e.Name, e.Typeflag, e.Linkname, e.PAXRecords = name, tar.TypeLink, was.Name, nil
		}
	}
	return entries
}

// plain is an entry with what a reader and a writer of archives must agree on.
func plain(entries []entry) (lines []string) {
	for _, e := range entries {
		attributes := ""
		for _, key := range []string{"SCHILY.xattr.user.note", "SCHILY.xattr.security.capability"} {
			attributes += fmt.Sprintf(" %q", e.PAXRecords[key])
		}
		content := e.content
		if len(content) > 20 {
			content = fmt.Sprintf("%d bytes, %x", len(content), crc(content))
		}
		lines = append(lines, fmt.Sprintf("%q %c %q %o %d:%d %d %d:%d%s %q", e.Name, e.Typeflag, e.Linkname, e.Mode, e.Uid, e.Gid, e.ModTime.Unix(), e.Devmajor, e.Devminor, attributes, content))
	}
	return lines
}

func crc(s string) (sum uint64) {
	for i := range len(s) {
		sum = sum*31 + uint64(s[i])
	}
	return sum
}

func TestWhatIsWrittenIsWhatIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := newBox(t)
		defer os.RemoveAll(b.outside)
		r, err := archive.OpenStopped(containerID, b.root, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		want := treeOf(rt)
		if err := r.Write(t.Context(), "/", archive.WriteOptions{}, bytes.NewReader(pack(t, want...))); err != nil {
			rt.Fatal(err)
		}
		exported, err := r.Export(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		defer exported.Close()
		got, err := entriesOf(exported)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(plain(want), plain(got)); diff != "" {
			rt.Fatalf("the tree changed on its way (-want +got):\n%s", diff)
		}
	})
}

func TestSparseFilesStaySparse(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	name := filepath.Join(b.root, "sparse")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 40 << 20, 100<<20 - 1} {
		if _, err := f.WriteAt([]byte("x"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r := b.open(t)
	_, body, err := r.Read(t.Context(), "/sparse")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if err := os.Mkdir(filepath.Join(b.root, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), "/in", archive.WriteOptions{}, body); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(b.root, "in/sparse")
	var st unix.Stat_t
	if err := unix.Stat(copied, &st); err != nil {
		t.Fatal(err)
	}
	if st.Size != 100<<20 || st.Blocks*512 > 1<<20 {
		t.Errorf("the copy has %d bytes and takes %d", st.Size, st.Blocks*512)
	}
	if out, err := exec.Command("cmp", name, copied).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// An archive that says in a few bytes that it holds a giant file ends at what
// the file system can hold, and not after writing it.
func TestSparseGiantsEnd(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	var body bytes.Buffer
	block := make([]byte, 512)
	copy(block, "giant")
	copy(block[100:], "0000644\x000000000\x000000000\x00")
	copy(block[124:], "00000000001\x0000000000000\x00")
	block[156] = 'S'
	copy(block[257:], "ustar  \x00")
	// One byte at the end of 8 EiB, in base 256.
	copy(block[386:], "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xfe")
	copy(block[398:], "00000000001\x00")
	copy(block[483:], "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff")
	copy(block[148:], "        ")
	sum := 0
	for _, c := range block {
		sum += int(c)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
	body.Write(block)
	body.Write(append([]byte("x"), make([]byte, 511+1024)...))
	err := b.open(t).Write(t.Context(), "/", archive.WriteOptions{}, &body)
	if !model.IsKind(err, model.KindInvalid) && !model.IsKind(err, model.KindExhausted) {
		t.Errorf("a file of 8 EiB: %v", err)
	}
}

func TestBodiesMayBeCompressed(t *testing.T) {
	t.Parallel()
	content := pack(t, file("file", "content"))
	through := func(t *testing.T, program string) []byte {
		cmd := exec.Command(program, "-c")
		cmd.Stdin = bytes.NewReader(content)
		out, err := cmd.Output()
		if err != nil {
			t.Skipf("needs %s: %v", program, err)
		}
		return out
	}
	for name, body := range map[string]func(*testing.T) []byte{
		"identity": func(*testing.T) []byte { return content },
		"gzip": func(t *testing.T) []byte {
			var out bytes.Buffer
			w := gzip.NewWriter(&out)
			w.Write(content)
			w.Close()
			return out.Bytes()
		},
		"zstd": func(t *testing.T) []byte {
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			return w.EncodeAll(content, nil)
		},
		"xz":    func(t *testing.T) []byte { return through(t, "xz") },
		"bzip2": func(t *testing.T) []byte { return through(t, "bzip2") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			if err := b.open(t).Write(t.Context(), "/", archive.WriteOptions{}, bytes.NewReader(body(t))); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(b.root, "file")); string(got) != "content" {
				t.Errorf("unpacked %q (%v)", got, err)
			}
		})
	}
}

func TestSocketsAreLeftOut(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	if err := unix.Mknod(filepath.Join(b.root, "socket"), unix.S_IFSOCK|0o600, 0); err != nil {
		t.Fatal(err)
	}
	r := b.open(t)
	if got := namesOf(read(t, r, "/")); !slices.Equal(got, []string{"/"}) {
		t.Errorf("the root holds %q", got)
	}
	if _, _, err := r.Read(t.Context(), "/socket"); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("a socket alone: %v", err)
	}
}
