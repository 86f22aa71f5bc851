package images

import (
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/image/imagetest"
)

// TestTheSameImagePackedOtherwise has two manifests of one image: its last layer
// is packed by gzip in one and by zstd in the other. That layer is a file of
// zeros, which either makes very small.
func TestTheSameImagePackedOtherwise(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	base, config := imagetest.BusyboxImage(t)
	zeros := imagetest.Tar(t, imagetest.File("zeros", strings.Repeat("\x00", 120<<20), 0o644))
	name := r.address + "/packed"
	digests := map[string]string{}
	for tag, layer := range map[string]imagetest.Layer{"gzip": imagetest.Gzip(zeros), "zstd": imagetest.Zstd(zeros)} {
		desc, err := imagetest.PushTar(t.Context(), r.address, "packed:"+tag, append(base[:len(base):len(base)], layer), config)
		if err != nil {
			t.Fatal(err)
		}
		digests[tag] = name + "@" + desc.Digest.String()
	}
	forget(t, b, name+":gzip", name+":zstd", digests["gzip"], digests["zstd"], r.address+"/copy:1")
	b.Docker(t, "pull", name+":gzip")
	id := b.Inspect(t, name+":gzip", "{{.Id}}")
	b.Docker(t, "pull", name+":zstd")
	if other := b.Inspect(t, name+":zstd", "{{.Id}}"); other != id {
		t.Fatalf("the images are %s and %s", id, other)
	}
	told := b.Inspect(t, id, "{{.RepoDigests}}")
	for tag, digest := range digests {
		if !strings.Contains(told, digest) {
			t.Errorf("of %s the digests are %s", tag, told)
		}
		if got := b.Inspect(t, digest, "{{.Id}}"); got != id {
			t.Errorf("%s is %s, want %s", digest, got, id)
		}
		if out := b.Docker(t, "run", "--rm", digest, "sh", "-c", "wc -c </zeros"); out != "125829120" {
			t.Errorf("of %s the file has %s bytes", digest, out)
		}
	}
	b.Docker(t, "tag", name+":zstd", r.address+"/copy:1")
	b.Docker(t, "push", r.address+"/copy:1")
	b.Docker(t, "rmi", "-f", id)
	b.Docker(t, "pull", digests["zstd"]) // alone
	if got := b.Inspect(t, id, "{{.RepoDigests}}"); got != "["+digests["zstd"]+"]" {
		t.Errorf("pulled by one digest it has %s", got)
	}
	b.Docker(t, "pull", r.address+"/copy:1")
	if out := b.Docker(t, "run", "--rm", r.address+"/copy:1", "sh", "-c", "wc -c </zeros"); out != "125829120" {
		t.Errorf("of what was pushed the file has %s bytes", out)
	}
}
