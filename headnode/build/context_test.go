package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	gofs "io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
)

// archive makes a context; what ends with a slash is a folder.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.Linkname
		if h.Typeflag == tar.TypeReg {
			h.Size, h.Linkname = int64(len(content)), ""
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			io.WriteString(w, content)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file is a regular file.
func file(name, content string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Linkname: content}
}

func spoolTest(t testing.TB, body []byte) (*contextFiles, error) {
	t.Helper()
	c, err := spool(context.Background(), bytes.NewReader(body), t.TempDir())
	if err == nil {
		t.Cleanup(c.close)
	}
	return c, err
}

func walked(t testing.TB, c *contextFiles, target string) (paths []string) {
	t.Helper()
	err := c.Walk(t.Context(), target, func(path string, e gofs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			path += "/"
		}
		paths = append(paths, path)
		if path == "skipped/" {
			return gofs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestAContextIsReadAsItsArchiveHasIt(t *testing.T) {
	t.Parallel()
	body := archive(t, file("./b/x", "deep"), file("b.txt", "beside"), file("../../outside", "kept in"), file("a", "first"), file("a", "second"),
		tar.Header{Name: "skipped/", Typeflag: tar.TypeDir}, file("skipped/y", ""), tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "a"},
		tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "a"})
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(body)
	z.Close()
	for name, body := range map[string][]byte{"plain": body, "gzip": zipped.Bytes()} {
		c, err := spoolTest(t, body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]string{"a", "b/", "b/x", "b.txt", "hard", "link", "outside", "skipped/"}, walked(t, c, "")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff([]string{"b/", "b/x"}, walked(t, c, "/b")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for path, want := range map[string]string{"a": "second", "hard": "second", "b/x": "deep"} {
			f, err := c.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(f); string(got) != want {
				t.Errorf("%s: %s holds %q", name, path, got)
			}
		}
		if _, err := c.Open("link"); !errors.Is(err, gofs.ErrNotExist) {
			t.Errorf("%s: a link was opened: %v", name, err)
		}
	}
}

func TestContextsThatCannotBe(t *testing.T) {
	t.Parallel()
	whole := archive(t, file("Dockerfile", "FROM scratch"))
	for name, body := range map[string][]byte{
		"no archive":           []byte("this is no archive, and so long that it could be one................................................................"),
		"cut off":              whole[:520],
		"hard link to nothing": archive(t, tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "y"}),
	} {
		if _, err := spoolTest(t, body); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := spoolTest(t, whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.checkDockerfile("other"); !model.IsKind(err, model.KindInvalid) || model.UserText(err) != "Cannot locate specified Dockerfile: other" {
		t.Error(err)
	}
	if err := c.checkDockerfile(""); err != nil {
		t.Error(err)
	}
}

// FuzzContext looks for archives that lead out of the context, or break it.
func FuzzContext(f *testing.F) {
	f.Add(archive(f, file("Dockerfile", "FROM scratch"), file("a/b", "c")))
	f.Add(archive(f, tar.Header{Name: "x", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, file("x/passwd", "y")))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := spoolTest(t, body)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, path := range walked(t, c, "") {
			if seen[path] || path == "" || path[0] == '/' || !gofs.ValidPath(trimSlash(path)) {
				t.Errorf("%q", path)
			}
			seen[path] = true
		}
	})
}

func trimSlash(path string) string {
	if path[len(path)-1] == '/' {
		return path[:len(path)-1]
	}
	return path
}
