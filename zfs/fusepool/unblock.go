package fusepool

import (
	_ "embed"
	"fmt"
	"os/exec"
	"strings"
)

//go:embed preload/unblock.c
var unblockSource string

// buildUnblock compiles what keeps zfs-fuse from sleeping for good when signals
// reach its callers, and returns its file.
func (d *Daemon) buildUnblock() (string, error) {
	file := d.path("unblock.so")
	cmd := exec.Command("cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-x", "c", "-o", file, "-")
	cmd.Stdin = strings.NewReader(unblockSource)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot compile what zfs-fuse is run with: %w: %.1000s", err, out)
	}
	return file, nil
}
