package images

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestOnZFS has two nodes that keep layers as datasets do what images are for.
func TestOnZFS(t *testing.T) {
	setting.Shared(t) // or a skip
	if _, err := exec.LookPath("zfs"); err != nil {
		if _, err := exec.LookPath("zfs-fuse"); err != nil {
			t.Skip("needs ZFS or zfs-fuse: layers as datasets")
		}
	}
	b, err := setting.New(context.Background(), filepath.Join(t.TempDir(), "zfs"), "--nodes", "2", "--storage", "zfs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	r := newRegistry(t, b, registryOptions{})
	name := r.address + "/on/zfs:1"
	fresh(t, b, name)
	b.Docker(t, "push", name)
	digest := digestOf(t, b, name)
	file := filepath.Join(t.TempDir(), "image.tar")
	b.Docker(t, "save", "-o", file, name)
	b.Docker(t, "rmi", name)
	byDigest := r.address + "/on/zfs@" + digest
	b.Docker(t, "pull", byDigest)
	r.takeAway()
	onBothNodes(t, b, byDigest, "test $(cat /etc/made-for) = "+name+" && echo whole; sleep 1000")
	b.Docker(t, "load", "-i", file)
	if out := b.Docker(t, "run", "--rm", name, "cat", "/etc/made-for"); out != name {
		t.Errorf("the image holds %q", out)
	}
}
