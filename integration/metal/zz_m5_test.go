package metal

import (
	"os/exec"
	"strings"
	"testing"
)

func TestM5Trial(t *testing.T) {
	out, err := exec.Command("../../scripts/metal", "where").Output()
	if err != nil {
		t.Fatal(err)
	}
	tests.missing, tests.image = "", strings.TrimSpace(string(out))
	TestNetworksOnDebiansKernel(t)
}
