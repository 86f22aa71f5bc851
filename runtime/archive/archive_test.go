package archive_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/archive"
)

// furnish makes a tree that the tests below look at.
func furnish(t *testing.T, b box) {
	t.Helper()
	write(t, filepath.Join(b.root, "dir/file"), "content")
	write(t, filepath.Join(b.root, "dir/deep/other"), "other")
	for name, target := range map[string]string{
		"todir": "dir", "abs": "/dir/file", "out": "../../../../secret", "dangling": "dir/nothing/there", "loop": "loop", "dir/up": "..",
	} {
		if err := os.Symlink(target, filepath.Join(b.root, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStatTellsWhatDockerTells(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	furnish(t, b)
	r := b.open(t)
	for path, want := range map[string]model.PathStat{
		"/dir/file":   {Name: "file", Mode: 0o644, Size: 7},
		"dir/file":    {Name: "file", Mode: 0o644, Size: 7},
		"/dir":        {Name: "dir", Mode: fs.ModeDir | 0o755},
		"/dir/":       {Name: "dir", Mode: fs.ModeDir | 0o755},
		"/dir/.":      {Name: ".", Mode: fs.ModeDir | 0o755},
		"/":           {Name: "/", Mode: fs.ModeDir | 0o755},
		"/todir":      {Name: "todir", Mode: fs.ModeSymlink | 0o777, Size: 3, LinkTarget: "/dir"},
		"/todir/":     {Name: "todir", Mode: fs.ModeDir | 0o755},
		"/todir/.":    {Name: ".", Mode: fs.ModeDir | 0o755},
		"/todir/file": {Name: "file", Mode: 0o644, Size: 7},
		"/abs":        {Name: "abs", Mode: fs.ModeSymlink | 0o777, Size: 9, LinkTarget: "/dir/file"},
		"/out":        {Name: "out", Mode: fs.ModeSymlink | 0o777, Size: 18, LinkTarget: "/secret"},
		"/dangling":   {Name: "dangling", Mode: fs.ModeSymlink | 0o777, Size: 17, LinkTarget: "/dir/nothing/there"},
		"/../../dir":  {Name: "dir", Mode: fs.ModeDir | 0o755},
	} {
		got, err := r.Stat(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if want.Mode.IsDir() {
			want.Size = got.Size
		}
		if want.Mtime = got.Mtime; got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	for path, want := range map[string]struct {
		kind model.Kind
		text string
	}{
		"/nothing":                     {model.KindNotFound, "Could not find the file /nothing in container " + containerID},
		"/out/":                        {model.KindNotFound, "Could not find the file /out/ in container " + containerID},
		"/abs/x":                       {model.KindInvalid, "/abs/x: not a directory"},
		"/dir/file/":                   {model.KindInvalid, "/dir/file/: not a directory"},
		"/loop/x":                      {model.KindInvalid, "/loop/x: too many levels of symbolic links"},
		"":                             {model.KindInvalid, "bad parameter: path cannot be empty"},
		"a\x00b":                       {model.KindInvalid, "bad parameter: a path cannot hold a zero byte"},
		"/" + strings.Repeat("n", 256): {model.KindInvalid, "/" + strings.Repeat("n", 63) + "…: file name too long"},
	} {
		_, err := r.Stat(path)
		if model.KindOf(err) != want.kind || model.UserText(err) != want.text {
			t.Errorf("%q: %v (%s), want %s", path, err, model.KindOf(err), want.text)
		}
	}
}

func TestReadNamesWhatDockerNames(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	furnish(t, b)
	r := b.open(t)
	for path, want := range map[string][]string{
		"/dir/file":   {"file"},
		"/dir/deep":   {"deep/", "deep/other"},
		"/dir/deep/":  {"deep/", "deep/other"},
		"/dir/deep/.": {"./", "./other"},
		"/dir":        {"dir/", "dir/deep/", "dir/deep/other", "dir/file", "dir/up"},
		"/todir":      {"todir"},
		"/todir/deep": {"deep/", "deep/other"},
		"/todir/":     {"todir/", "todir/deep/", "todir/deep/other", "todir/file", "todir/up"},
		"/":           {"/", "/abs", "/dangling", "/dir/", "/dir/deep/", "/dir/deep/other", "/dir/file", "/dir/up", "/loop", "/out", "/todir"},
	} {
		if diff := cmp.Diff(want, namesOf(read(t, r, path))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	exported, err := r.Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer exported.Close()
	entries, err := entriesOf(exported)
	if err != nil || len(entries) != 10 || entries[0].Name != "abs" || entries[2].Name != "dir/" {
		t.Errorf("export holds %q (%v)", namesOf(entries), err)
	}
}

func TestWriteFollowsDocker(t *testing.T) {
	t.Parallel()
	type try struct {
		path    string
		options archive.WriteOptions
		entries []entry
		failure string            // begins the error
		files   map[string]string // what is there afterwards
	}
	strict := archive.WriteOptions{NoOverwriteDirNonDir: true}
	for name, try := range map[string]try{
		"new file":                {"/dir", archive.WriteOptions{}, []entry{file("new", "x")}, "", map[string]string{"dir/new": "x", "dir/file": "content"}},
		"file replaced":           {"/dir", archive.WriteOptions{}, []entry{file("file", "x")}, "", map[string]string{"dir/file": "x"}},
		"directories merged":      {"/", archive.WriteOptions{}, []entry{dir("dir"), file("dir/new", "x")}, "", map[string]string{"dir/new": "x", "dir/file": "content"}},
		"missing parents":         {"/", archive.WriteOptions{}, []entry{file("a/b/c", "x")}, "", map[string]string{"a/b/c": "x"}},
		"link to a directory":     {"/todir", archive.WriteOptions{}, []entry{file("new", "x")}, "", map[string]string{"dir/new": "x"}},
		"absolute name":           {"/dir", archive.WriteOptions{}, []entry{file("/new", "x")}, "", map[string]string{"dir/new": "x"}},
		"whiteouts are files":     {"/dir", archive.WriteOptions{}, []entry{file(".wh.file", "x"), file(".wh..wh..opq", "y")}, "", map[string]string{"dir/file": "content", "dir/.wh.file": "x", "dir/.wh..wh..opq": "y"}},
		"file over directory":     {"/", archive.WriteOptions{}, []entry{file("dir", "x")}, "", map[string]string{"dir": "x"}},
		"not over a directory":    {"/", strict, []entry{file("dir", "x")}, `cannot overwrite directory "/dir" with non-directory "/"`, map[string]string{"dir/file": "content"}},
		"not over a file":         {"/dir", strict, []entry{dir("file")}, `cannot overwrite non-directory "/dir/file" with directory "/dir"`, map[string]string{"dir/file": "content"}},
		"the same kinds":          {"/", strict, []entry{dir("dir"), file("dir/file", "x")}, "", map[string]string{"dir/file": "x"}},
		"through a link":          {"/", archive.WriteOptions{}, []entry{file("todir/new", "x")}, "", map[string]string{"dir/new": "x"}},
		"link replaced":           {"/", archive.WriteOptions{}, []entry{file("abs", "x")}, "", map[string]string{"abs": "x", "dir/file": "content"}},
		"no directory":            {"/dir/file", archive.WriteOptions{}, nil, "extraction point is not a directory", nil},
		"nothing there":           {"/nothing", archive.WriteOptions{}, nil, "Could not find the file /nothing in container " + containerID, nil},
		"dots":                    {"/dir", archive.WriteOptions{}, []entry{file("../x", "x")}, `"../x" is outside of "/dir"`, nil},
		"hard link with dots":     {"/dir", archive.WriteOptions{}, []entry{hard("h", "../../secret")}, `invalid hardlink: "../../secret" is outside of "/dir"`, nil},
		"hard link":               {"/dir", archive.WriteOptions{}, []entry{hard("h", "file")}, "", map[string]string{"dir/h": "content"}},
		"hard link outside of it": {"/dir/deep", archive.WriteOptions{}, []entry{hard("h", "/dir/file")}, `cannot write "h": no such file or directory`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			furnish(t, b)
			before := b.around(t)
			err := b.open(t).Write(t.Context(), try.path, try.options, bytes.NewReader(pack(t, try.entries...)))
			if (err != nil) != (try.failure != "") || !strings.HasPrefix(model.UserText(err), try.failure) {
				t.Errorf("error %v, want %q", err, try.failure)
			}
			for name, want := range try.files {
				if got, err := os.ReadFile(filepath.Join(b.root, name)); string(got) != want {
					t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
				}
			}
			if diff := cmp.Diff(before, b.around(t)); diff != "" {
				t.Errorf("something outside changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestOwnersAreTheArchivesOrTheOnesAskedFor(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	r := b.open(t)
	program := file("a", "x")
	program.Uid, program.Gid, program.Mode = 7, 8, 0o6755
	for _, test := range []struct {
		owner    *archive.Owner
		uid, gid uint32
	}{{nil, 7, 8}, {&archive.Owner{UID: 1000, GID: 100}, 1000, 100}} {
		if err := r.Write(t.Context(), "/", archive.WriteOptions{Owner: test.owner}, bytes.NewReader(pack(t, program))); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(b.root, "a"), &st); err != nil {
			t.Fatal(err)
		}
		if st.Uid != test.uid || st.Gid != test.gid || st.Mode&0o7777 != 0o6755 {
			t.Errorf("%d:%d %o, want %d:%d with its setuid bits", st.Uid, st.Gid, st.Mode, test.uid, test.gid)
		}
	}
}

func TestReadOnlyRootsAreLeftAlone(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	volume, sealed := t.TempDir(), t.TempDir()
	r, err := archive.OpenStopped(containerID, b.root, []archive.Mount{
		{Source: volume, Target: "/data"}, {Source: sealed, Target: "/sealed", ReadOnly: true},
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	body := pack(t, file("x", "x"))
	for path, want := range map[string]string{
		"/": "container rootfs is marked read-only", "/sealed": "mounted volume is marked read-only", "/data": "",
	} {
		err := r.Write(t.Context(), path, archive.WriteOptions{}, bytes.NewReader(body))
		if want == "" && err == nil {
			continue
		}
		if !model.IsKind(err, model.KindInvalid) || model.UserText(err) != want {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(volume, "x")); err != nil {
		t.Error(err)
	}
}

func TestStoppedContainersShowTheirMounts(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	furnish(t, b)
	volume := t.TempDir()
	write(t, filepath.Join(volume, "kept"), "kept")
	hosts := filepath.Join(t.TempDir(), "hosts")
	write(t, hosts, "127.0.0.1 localhost")
	r := b.open(t,
		archive.Mount{Source: volume, Target: "/todir/deep/data"}, // through a link of the container
		archive.Mount{Source: hosts, Target: "/etc/hosts"},
		archive.Mount{Source: filepath.Join(volume, "missing"), Target: "/missing"},
	)
	if got := read(t, r, "/dir/deep/data/kept"); len(got) != 1 || got[0].content != "kept" {
		t.Errorf("read %+v", got)
	}
	if got := read(t, r, "/etc/hosts"); len(got) != 1 || got[0].content != "127.0.0.1 localhost" {
		t.Errorf("read %+v", got)
	}
	if err := r.Write(t.Context(), "/dir/deep/data", archive.WriteOptions{}, bytes.NewReader(pack(t, file("new", "x")))); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(volume, "new")); string(got) != "x" {
		t.Errorf("the volume holds %q (%v)", got, err)
	}
	if entries, err := os.ReadDir(filepath.Join(b.root, "dir/deep/data")); err != nil || len(entries) != 0 {
		t.Errorf("%d files under the mount (%v)", len(entries), err)
	}
	if _, err := r.Stat("/missing"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("a mount without a source: %v", err)
	}
}

func TestMountsLeaveWithTheirView(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	outer := t.TempDir()
	if err := unix.Mount("tmpfs", outer, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	r, err := archive.OpenStopped(containerID, b.root, []archive.Mount{{Source: outer, Target: "/data"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	var entries [1]unix.Statfs_t
	if err := unix.Statfs(outer, &entries[0]); err != nil || entries[0].Type != unix.TMPFS_MAGIC {
		t.Errorf("the source is not mounted any more: %v", err)
	}
	if err := unix.Unmount(outer, 0); err != nil {
		t.Errorf("something still uses the source: %v", err)
	}
}
