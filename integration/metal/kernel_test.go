package metal

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/metal/guest"
)

// TestNetworksOnDebiansKernel runs tests of package network where the kernel is
// an older one that is built as distributions do: with VLANs, connection
// tracking of bridges, and most of the rest as modules.
func TestNetworksOnDebiansKernel(t *testing.T) {
	if tests.missing != "" {
		t.Skip(tests.missing)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "network.test")
	build := exec.Command("go", "test", "-c", "-trimpath", "-ldflags=-s -w", "-o", program, "github.com/spearheadcloud/spearhead/network")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the tests: %v: %s", err, out)
	}
	own := filepath.Join(dir, "machine")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	m, err := guest.Boot(ctx, guest.Config{Image: tests.image, Dir: own, Name: "networks", Memory: 768})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := m.Put(ctx, program, "/root/network.test"); err != nil {
		t.Fatal(err)
	}
	done, err := m.Try(ctx, "modprobe 8021q && cd /root && chmod +x network.test && ./network.test -test.v -test.parallel 2 -test.run "+
		"'VLAN|Sentries|RawFrames|PieceByPiece|OnlyWhatIsOpen|SameAddresses'", nil)
	if err != nil {
		t.Fatal(err)
	}
	if done.Code != 0 {
		t.Errorf("exit code %d:\n%s%s", done.Code, done.Stdout, done.Stderr)
	}
	for _, test := range []string{"TestVLANsShareANICAndNothingElse", "TestVLANsAreFoundAgain", "TestRawFramesDoNotPassByRules"} {
		if !strings.Contains(done.Stdout, "--- PASS: "+test+" ") {
			t.Errorf("%s did not run:\n%s", test, done.Stdout)
		}
	}
}
