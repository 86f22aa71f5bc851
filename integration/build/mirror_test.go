package build

import (
	"net"
	"testing"

	"github.com/spearheadcloud/spearhead/image/imagetest"
)

// TestDockerHubIsReadFromItsMirror has a mirror that has images which Docker Hub has not. They
// are pulled, and builds begin with them.
func TestDockerHubIsReadFromItsMirror(t *testing.T) {
	all := builders(t)
	b := all[0].bed
	host, _, err := net.SplitHostPort(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	mirror := imagetest.StartRegistryAt(t, host)
	layers, config := imagetest.BusyboxImage(t)
	for _, name := range []string{"library/only-here", "team/only-here", "library/for-classic", "library/for-buildx"} {
		if _, err := imagetest.PushTar(t.Context(), mirror, name+":1", layers, config); err != nil {
			t.Fatal(err)
		}
	}
	restart := func(mirror string) {
		t.Helper()
		b.Fault(t, "kill", "node-1")
		if _, err := b.Dev(afterTest(t), "up", "--mirror", mirror); err != nil {
			t.Error(err)
		}
	}
	restart("http://" + mirror)
	defer restart("")

	for _, name := range []string{"only-here:1", "team/only-here:1"} {
		b.Docker(t, "pull", name)
		if out := b.Docker(t, "run", "--rm", name, "echo", "runs"); out != "runs" {
			t.Errorf("%s prints %q", name, out)
		}
		b.Docker(t, "rmi", name)
	}
	for _, way := range all {
		way.built(t, way.name+"-of-mirror", folder(t, map[string]string{"Dockerfile": "FROM for-" + way.name + ":1\nRUN echo built >/built\n"}))
		if out := b.Docker(t, "run", "--rm", way.name+"-of-mirror", "cat", "/built"); out != "built" {
			t.Errorf("%s: it holds %q", way.name, out)
		}
	}
	all[0].refused(t, "", "pull", "not-even-here:1")
}
