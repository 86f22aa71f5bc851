package fusepool

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

//go:embed preload/unblock.c
var unblockSource string

// environment is what zfs-fuse is run with: what keeps it from sleeping for good
// when signals reach its callers, on a machine that can compile that.
func (d *Daemon) environment() ([]string, error) {
	env := os.Environ()
	if _, err := exec.LookPath("cc"); err != nil {
		return env, nil
	}
	file := d.path("unblock.so")
	cmd := exec.Command("cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-x", "c", "-o", file, "-")
	cmd.Stdin = strings.NewReader(unblockSource)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot compile what zfs-fuse is run with: %w: %.1000s", err, out)
	}
	return append(env, "LD_PRELOAD="+file), nil
}
