package images

import (
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/internal/seedimage"
)

// fresh makes an image that nobody else has: busybox with a file, under one name.
func fresh(t *testing.T, b *bed.Bed, name string) (id string) {
	t.Helper()
	container := b.Docker(t, "create", b.Image, "sleep", "1000")
	defer b.Remove(t, container)
	file := filepath.Join(t.TempDir(), "made-for")
	if err := os.WriteFile(file, []byte(name+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Docker(t, "cp", file, container+":/etc/made-for")
	return b.Docker(t, "commit", container, name)
}

// pushed makes a fresh image at a registry, under tags of one repository, and leaves no name
// of it in the account.
func pushed(t *testing.T, b *bed.Bed, r *registry, repository string, tags ...string) {
	t.Helper()
	for _, tag := range tags {
		ref := r.address + "/" + repository + ":" + tag
		fresh(t, b, ref)
		b.Docker(t, "push", ref)
		b.Docker(t, "rmi", ref)
	}
}

// pushLarge puts busybox with a file /big, of random bytes that nothing makes smaller, into
// an open registry, past the rack.
func pushLarge(t *testing.T, ref string, size int64) {
	t.Helper()
	folder := t.TempDir()
	if err := seedimage.Busybox(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(bigFile(t, size), filepath.Join(folder, "big")); err != nil {
		t.Fatal(err)
	}
	if err := seedimage.Push(t.Context(), ref, folder, seedimage.Config{Cmd: []string{"sh"}, Env: []string{"PATH=/bin"}}); err != nil {
		t.Fatal(err)
	}
}

// bigFile is a file of random bytes.
func bigFile(t *testing.T, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "big")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.CopyN(file, rand.Reader, size); err != nil {
		t.Fatal(err)
	}
	return path
}
