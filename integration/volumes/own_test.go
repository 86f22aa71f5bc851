package volumes

import (
	"errors"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// An account works on its volumes by itself, and on nobody else's.
func accountsOwn(t *testing.T, b *bed.Bed) {
	jill, jack := b.Tenant(t, "own-jill"), b.Tenant(t, "own-jack")
	call := func(who *bed.Bed, want string, args ...string) string {
		t.Helper()
		out, err := who.Own(t, append([]string{"volume"}, args...)...)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("spearhead volume %s: %v; want %q", strings.Join(args, " "), err, want)
		}
		return out
	}
	name := volume(t, jill, "", "-o", "size=16m")
	mount := []string{"-v", name + ":/data"}
	once(t, jill, mount, "echo monday > /data/file")
	call(jill, "", "snapshot", name, "monday")
	once(t, jill, mount, "echo tuesday > /data/file")
	call(jill, "", "restore", name, "monday")
	if got := once(t, jill, mount, "cat /data/file"); got != "monday" {
		t.Errorf("after the restore the volume holds %q", got)
	}
	clone, renamed := name+"-clone", name+"-renamed"
	removeLater(t, jill, clone, renamed)
	call(jill, "", "clone", name, clone)
	call(jill, "", "rename", clone, renamed)
	if got := once(t, jill, []string{"-v", renamed + ":/data"}, "cat /data/file"); got != "monday" {
		t.Errorf("the clone holds %q", got)
	}
	call(jill, "", "resize", name, "32m")
	if got := call(jill, "", "ls"); !strings.Contains(got, name+" ") || !strings.Contains(got, "32MiB") || !strings.Contains(got, renamed) {
		t.Errorf("jill's volumes:\n%s", got)
	}
	// What the snapshots would hold if all files changed is bounded.
	once(t, jill, mount, "dd if=/dev/urandom of=/data/big bs=1M count=20 conv=fsync 2>/dev/null")
	call(jill, "", "snapshot", name, "full")
	once(t, jill, mount, "dd if=/dev/urandom of=/data/big bs=1M count=20 conv=fsync,notrunc 2>/dev/null")
	bed.Eventually(t, func() error { // zfs counts what was freed with its next transaction group
		_, err := jill.Own(t, "volume", "snapshot", name, "more")
		if err == nil {
			call(jill, "", "rm-snapshot", name, "more")
			return errors.New("another snapshot is not refused")
		}
		if !strings.Contains(err.Error(), "may hold as much as it may itself") {
			return err
		}
		return nil
	})
	call(jill, "data center's own", "rm-snapshot", name, "spearhead-x")
	call(jill, "is for operators", "send", name, "--profile", "work")
	call(jill, "without the login", "snapshots", "own-jill/"+name)
	for _, args := range [][]string{
		{"snapshots", name}, {"snapshot", name, "x"}, {"restore", name, "monday"}, {"rm-snapshot", name, "monday"},
		{"clone", name, "mine"}, {"resize", name, "1g"}, {"rename", name, "mine"},
	} {
		call(jack, "no such volume", args...)
	}
	if got := call(jack, "", "ls"); strings.Contains(got, name) {
		t.Errorf("jack sees jill's volumes:\n%s", got)
	}
}
