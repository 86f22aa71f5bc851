package volumes

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

func TestSizesNeedStorageThatHasThem(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	refused(t, b, "no node of the data center can hold", "volume", "create", "-o", "size=1g", unique(t))
	refused(t, b, "no node of the data center can hold a container to a disk size", "run", "--rm", "--storage-opt", "size=1g", b.Image, "true")
	refused(t, b, "cannot hold volumes to a size", "run", "--rm", "--mount", "type=volume,source="+unique(t)+",target=/d,volume-opt=size=1g", b.Image, "true")
	if got := b.Docker(t, "volume", "ls", "-q", "--filter", "name="+unique(t)); got != "" {
		t.Errorf("made anyway: %s", got)
	}
}

// image makes an image whose VOLUME holds files of another owner.
func image(t *testing.T, b *bed.Bed) string {
	t.Helper()
	name := unique(t) + ":1"
	id := b.Run(t, b.Image, "sh", "-c", "mkdir -p /srv/www/below && echo hello > /srv/www/below/file && chown -R 33:44 /srv/www && chmod 1770 /srv/www; sleep 1000")
	bed.Eventually(t, func() error {
		if done := b.Try(t, "exec", id, "stat", "-c", "%a", "/srv/www"); strings.TrimSpace(done.Stdout) != "1770" {
			return fmt.Errorf("%s%s", done.Stdout, done.Stderr)
		}
		return nil
	})
	b.Docker(t, "commit", "-c", "VOLUME /srv/www", id, name)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = b.Client(ctx, "rmi", "-f", name).Run()
	})
	return name
}

func v10v17VolumesOfImages(t *testing.T, b *bed.Bed) {
	img, name := image(t, b), unique(t)
	removeLater(t, b, name)
	const look = "stat -c %a:%u:%g /srv/www; cat /srv/www/below/file 2>&1; stat -c %u /srv/www/below/file"
	for what, options := range map[string][]string{
		"the image's own": nil, "named": {"-v", name + ":/srv/www"}, "anonymous": {"-v", "/srv/www"},
	} {
		got := b.Docker(t, append(append([]string{"run", "--rm"}, options...), img, "sh", "-c", look)...)
		if got != "1770:33:44\nhello\n33" {
			t.Errorf("%s volume holds: %s", what, got)
		}
	}
	if got := b.Docker(t, "run", "--rm", "-v", name+"-bare:/srv/www:nocopy", img, "ls", "-A", "/srv/www"); got != "" {
		t.Errorf("with nocopy the volume holds %s", got)
	}
	removeLater(t, b, name+"-bare")
	if got := b.Docker(t, "run", "--rm", "--tmpfs", "/srv/www", img, "ls", "-A", "/srv/www"); got != "" {
		t.Errorf("a tmpfs in its place holds %s", got)
	}
	once(t, b, []string{"-v", name + ":/d"}, "echo mine > /d/below/file")
	if got := b.Docker(t, "run", "--rm", "-v", name+":/srv/www", img, "cat", "/srv/www/below/file"); got != "mine" {
		t.Errorf("a volume that held something was filled: %s", got)
	}
}

func v13DeleteOrder(t *testing.T, b *bed.Bed) {
	drawn := func(id string) string {
		return b.Inspect(t, id, "{{range .Mounts}}{{.Name}}{{end}}")
	}
	gone := func(name string) {
		t.Helper()
		bed.Eventually(t, func() error {
			if done := b.Try(t, "volume", "inspect", name); done.Code == 0 {
				return fmt.Errorf("volume %s is still there", name)
			}
			return nil
		})
	}
	stays := b.Run(t, "-v", "/data", b.Image, "sleep", "1000")
	name := drawn(stays)
	if len(name) != 64 {
		t.Fatalf("the volume is named %q", name)
	}
	other := b.Run(t, "--volumes-from", stays+":ro", b.Image, "sleep", "1000")
	b.Docker(t, "exec", stays, "touch", "/data/file")
	if done := b.Try(t, "exec", other, "sh", "-c", "ls /data; touch /data/more"); done.Code == 0 || !strings.Contains(done.Stdout, "file") || !strings.Contains(done.Stderr, "Read-only") {
		t.Errorf("the volume from another container, read-only: %+v", done)
	}
	b.Docker(t, "rm", "-f", "-v", stays) // the other has it still
	if got := b.Docker(t, "exec", other, "ls", "/data"); got != "file" {
		t.Errorf("after rm -v of one of two, the other sees %q", got)
	}
	b.Docker(t, "rm", "-f", "-v", other) // it was not made for this one
	b.Docker(t, "volume", "rm", name)

	removed := b.Run(t, "-v", "/data", b.Image, "sleep", "1000")
	name = drawn(removed)
	b.Docker(t, "rm", "-f", "-v", removed)
	gone(name)
	auto := b.Docker(t, "run", "-d", "--rm", "-v", "/data", b.Image, "sleep", "1000")
	name = drawn(auto)
	b.Docker(t, "stop", "-t", "0", auto)
	gone(name)
	kept := b.Run(t, "-v", "/data", b.Image, "true")
	name = drawn(kept)
	b.Docker(t, "wait", kept)
	b.Docker(t, "rm", kept)
	if got := b.Docker(t, "volume", "prune", "-f"); !strings.Contains(got, name) {
		t.Errorf("prune removed %s, and not %s", got, name)
	}
}

func partsOfVolumes(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "")
	once(t, b, []string{"-v", name + ":/data"}, "mkdir -p /data/a/b && echo deep > /data/a/b/file && ln -s / /data/root && ln -s a/b /data/link")
	part := func(subpath string) []string {
		return []string{"--mount", "type=volume,source=" + name + ",target=/part,volume-subpath=" + subpath}
	}
	for _, subpath := range []string{"a/b", "link"} {
		if got := once(t, b, part(subpath), "cat /part/file; touch /part/"+subpath[:1]); got != "deep" {
			t.Errorf("%s holds %q", subpath, got)
		}
	}
	if got := once(t, b, part("root"), "ls /part"); got != "a\nlink\nroot" {
		t.Errorf("a link to / leads to %q", got)
	}
	refused(t, b, "cannot access path a/none", append(append([]string{"run", "--rm"}, part("a/none")...), b.Image, "true")...)
	refused(t, b, "subpath must be a relative path", append(append([]string{"run", "--rm"}, part("../up")...), b.Image, "true")...)
}

func TestFilesOfVolumesCanBeCopied(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	name := volume(t, b, "")
	id := b.Run(t, "-v", name+":/data", b.Image, "sh", "-c", "echo in > /data/file; sleep 1000")
	bed.Eventually(t, func() error {
		if done := b.Try(t, "cp", id+":/data/file", "-"); !strings.Contains(done.Stdout, "in\n") {
			return fmt.Errorf("copied: %q %s", done.Stdout, done.Stderr)
		}
		return nil
	})
	b.Docker(t, "stop", "-t", "0", id)
	if done := b.Try(t, "cp", id+":/data/file", "-"); !strings.Contains(done.Stdout, "in\n") {
		t.Errorf("copied out of a stopped container: %+v", done)
	}
	if got := b.Docker(t, "diff", id); strings.Contains(got, "/data/file") {
		t.Errorf("a volume's files count as the container's: %s", got)
	}
}

func TestTenantsHaveVolumesOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	jill, jack := b.Tenant(t, "vol-jill"), b.Tenant(t, "vol-jack")
	for _, tenant := range []*bed.Bed{jill, jack} {
		tenant.Docker(t, "pull", tenant.Image)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_ = tenant.Client(ctx, "volume", "prune", "-a", "-f").Run()
		})
	}
	once(t, jill, []string{"-v", "data:/data"}, "echo hers > /data/file")
	if got := once(t, jack, []string{"-v", "data:/data"}, "ls /data"); got != "" {
		t.Errorf("jack sees %q", got)
	}
	secret := volume(t, jill, "-secret")
	refused(t, jack, "no such volume", "volume", "inspect", secret)
	refused(t, jack, "no such volume", "volume", "rm", secret)
	refused(t, jack, "host volumes are not supported", "run", "--rm", "-v", "/etc:/d", jack.Image, "true")
	refused(t, jack, "host volumes are not supported", "run", "--rm", "--mount", "type=bind,source=/etc,target=/d", jack.Image, "true")
	if got := b.Operator(t, "volume", "ls"); !strings.Contains(got, "vol-jill/data") || !strings.Contains(got, "vol-jack/data") {
		t.Errorf("the operator sees\n%s", got)
	}
}

func TestVolumesPinContainersToTheirNode(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	name, other := volume(t, b, ""), volume(t, b, "-other")
	once(t, b, []string{"-v", name + ":/data"}, "echo there > /data/file")
	for range 6 {
		b.Run(t, "-v", name+":/data", b.Image, "sh", "-c", "cat /data/file; sleep 1000")
	}
	for _, id := range strings.Fields(b.Docker(t, "ps", "-q", "--filter", "volume="+name)) {
		b.Logged(t, id, "there")
	}
	// A container that needs two volumes on two nodes finds none. Which node the other one
	// comes to be on is chance, so it is tried until they are apart.
	for range 20 {
		once(t, b, []string{"-v", other + ":/data"}, "true")
		done := b.Try(t, "run", "--rm", "-v", name+":/a", "-v", other+":/b", b.Image, "true")
		if done.Code != 0 {
			if !strings.Contains(done.Stderr, "on another node") {
				t.Errorf("two volumes on two nodes: %s", done.Stderr)
			}
			return
		}
		b.Docker(t, "volume", "rm", other)
		b.Docker(t, "volume", "create", other)
	}
	t.Log("both volumes came to be on one node each time")
}

// What is removed while its node is away goes when that is back.
func TestRemovalWhileTheNodeIsAway(t *testing.T) {
	b := setting.Shared(t)
	name := volume(t, b, "")
	before := homes(t, b)
	once(t, b, []string{"-v", name + ":/data"}, "echo x > /data/file")
	node := ""
	for host, n := range homes(t, b) {
		if n > before[host] {
			node = host
		}
	}
	if node == "" {
		t.Skip("other tests made and removed volumes meanwhile")
	}
	b.Fault(t, "kill", node)
	b.Docker(t, "volume", "rm", name)
	b.Fault(t, "start", node)
	bed.Eventually(t, func() error {
		if n := homes(t, b)[node]; n > before[node] {
			return fmt.Errorf("node %s holds %d volumes", node, n)
		}
		return nil
	})
}
