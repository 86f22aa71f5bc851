package archive_test

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/archive"
)

// FuzzPaths asks for any path in a tree full of links that want to get out.
func FuzzPaths(f *testing.F) {
	for _, path := range []string{"/", "", "/dir/file", "/dir/../../etc/passwd", "/up/up/up/secret", "/abs/passwd", "/loop", "//dir//.", "/dir/file/", "a\x00b", "/\xff"} {
		f.Add(path)
	}
	b := newBox(f)
	write(f, filepath.Join(b.root, "dir/file"), "content")
	r := b.open(f)
	links := pack(f, link("up", "../../.."), link("abs", filepath.Join(b.outside, "etc")), link("loop", "loop"), link("dir/up", "../up/etc"))
	if err := r.Write(f.Context(), "/", archive.WriteOptions{}, bytes.NewReader(links)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		_, err := r.Stat(path)
		if err != nil && !model.IsKind(err, model.KindNotFound) && !model.IsKind(err, model.KindInvalid) {
			t.Errorf("stat: %v", err)
		}
		_, body, err := r.Read(t.Context(), path)
		if err != nil {
			return
		}
		defer body.Close()
		entries, err := entriesOf(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.content != "" && e.content != "content" {
				t.Errorf("%q has %q", e.Name, e.content)
			}
		}
	})
}

// FuzzBodies unpacks anything. A body that is an archive stays inside, and what
// it makes can be read again.
func FuzzBodies(f *testing.F) {
	for _, body := range hostile(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := newBox(t)
		before := b.around(t)
		r := b.open(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := r.Write(ctx, "/", archive.WriteOptions{}, bytes.NewReader(body))
		if err != nil && !model.IsKind(err, model.KindInvalid) {
			t.Errorf("error of kind %s: %v", model.KindOf(err), err)
		}
		if diff := cmp.Diff(before, b.around(t)); diff != "" {
			t.Errorf("something outside changed (-before +after):\n%s", diff)
		}
	})
}
