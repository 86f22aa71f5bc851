package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/runtime/archive"
)

const containerID = "c0ffee"

// box is the root of a container, with things around it that must stay as they
// are.
type box struct{ outside, root string }

func newBox(t testing.TB) box {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: containers' files have owners and devices")
	}
	outside := t.TempDir()
	b := box{outside, filepath.Join(outside, "root")}
	for name, content := range map[string]string{"secret": "secret", "etc/passwd": "root", "etc/shadow": "x"} {
		write(t, filepath.Join(outside, name), content)
	}
	if err := os.Mkdir(b.root, 0o755); err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (b box) open(t testing.TB, mounts ...archive.Mount) *archive.Root {
	t.Helper()
	r, err := archive.OpenStopped(containerID, b.root, mounts, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// around describes everything outside of the root.
func (b box) around(t testing.TB) map[string]string { return describe(t, b.outside, b.root) }

func describe(t testing.TB, top, without string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == without {
			return fs.SkipDir
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

// entry is one file of an archive.
type entry struct {
	tar.Header
	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content}
}

func dir(name string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}}
}

func link(name, target string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}}
}

func hard(name, target string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}}
}

func pack(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := e.Header
		header.Size = int64(len(e.content))
		if header.ModTime.IsZero() {
			header.ModTime = time.Unix(1_600_000_000, 0)
		}
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// read reads a path whole.
func read(t testing.TB, r *archive.Root, path string) []entry {
	t.Helper()
	_, body, err := r.Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	entries, err := entriesOf(body)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func entriesOf(body io.Reader) (entries []entry, err error) {
	for archive := tar.NewReader(body); ; {
		header, err := archive.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, body)
			return entries, err
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{*header, string(content)})
	}
}

func namesOf(entries []entry) (names []string) {
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names
}
