package runtime_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPlaceholders(t *testing.T) {
	n := newNode(t)
	defer unix.Umask(unix.Umask(0o077))
	own := filepath.Join(n.rootfs, "etc/hosts")
	if err := os.WriteFile(own, []byte("127.0.0.1 mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.Symlink(outside, filepath.Join(n.rootfs, "etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	if e, out, _ := n.run(sh("cat /etc/hosts; echo */.dockerenv .dockere*")); e.ExitCode != 0 || out != "127.0.0.1 mine\n*/.dockerenv .dockerenv\n" {
		t.Errorf("%+v %q", e, out)
	}
	for name, want := range map[string]os.FileMode{
		".dockerenv": 0o755, "etc/hostname": 0o755, "etc/hosts": 0o600, "etc/resolv.conf": os.ModeSymlink | 0o777,
	} {
		if info, err := os.Lstat(filepath.Join(n.rootfs, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v, want %v", name, info, err, want)
		}
	}
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a link of the image led out of the root")
	}
}
