package volumes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// The acceptance cases of volumes, by their numbers: V01 to V18 on both sorts
// of storage, V19 to V21 in zfs_test.go, for only ZFS can do them. doc.go says
// what each is about.

func v01CreateDefaults(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "", "--label", "kind="+unique(t))
	const format = "{{.Driver}} {{.Scope}} {{.Mountpoint}} {{index .Labels \"kind\"}}"
	if got := b.Docker(t, "volume", "inspect", "--format", format, name); got != "local local /volumes/"+name+" "+unique(t) {
		t.Errorf("inspect: %s", got)
	}
	// Triton's driver is another name of the only one there is.
	alias := volume(t, b, "-alias", "-d", "tritonnfs")
	if got := b.Docker(t, "volume", "inspect", "--format", "{{.Driver}}", alias); got != "local" {
		t.Errorf("the driver of %s is %s", alias, got)
	}
	drawn := b.Docker(t, "volume", "create")
	removeLater(t, b, drawn)
	if len(drawn) != 64 {
		t.Errorf("a volume without a name is called %q", drawn)
	}
}

func v02CreateIsIdempotent(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "", "--label", "first=yes")
	volume(t, b, "", "--label", "second=yes")
	if got := b.Docker(t, "volume", "inspect", "--format", "{{json .Labels}}", name); got != `{"first":"yes"}` {
		t.Errorf("after a second create the labels are %s", got)
	}
	once(t, b, []string{"-v", name + ":/data"}, "echo kept > /data/file")
	volume(t, b, "")
	if got := once(t, b, []string{"-v", name + ":/data"}, "cat /data/file"); got != "kept" {
		t.Errorf("after another create the volume holds %q", got)
	}
	refused(t, b, "exists", "volume", "create", "-o", "size=32m", name) // or, without ZFS, the size is
}

func v03BadNames(t *testing.T, b *bed.Bed) {
	for want, names := range map[string][]string{
		"volume name is too short":    {"x", "1"},
		"includes invalid characters": {"no/way", "-dash", ".dot", "sp ace", "ümlaut", "a:b"},
		"255 characters at most":      {strings.Repeat("x", 256)},
	} {
		for _, name := range names {
			refused(t, b, want, "volume", "create", "--name="+name)
		}
	}
	longest := strings.Repeat("x", 200) + "-" + unique(t)
	removeLater(t, b, longest)
	b.Docker(t, "volume", "create", longest)
}

func v04Sizes(t *testing.T, b *bed.Bed) {
	for _, size := range []string{"", "0", "-5g", "10parsecs", "ten", "5.5.5g", "1k"} {
		refused(t, b, "invalid size", "volume", "create", "-o", "size="+size, unique(t)+"-bad")
	}
	refused(t, b, `invalid option: "device"`, "volume", "create", "-o", "device=/etc", unique(t)+"-bad")
	refused(t, b, `invalid option: "shared"`, "volume", "create", "-o", "shared=true", unique(t)+"-bad")
	refused(t, b, "volume plugin nope", "volume", "create", "-d", "nope", unique(t)+"-bad")
	if got := b.Docker(t, "volume", "ls", "-q", "--filter", "name="+unique(t)+"-bad"); got != "" {
		t.Errorf("made anyway: %s", got)
	}
}

func v06DeleteInUse(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "")
	id := b.Run(t, "-v", name+":/data", b.Image, "sleep", "1000")
	refused(t, b, "volume is in use - ["+id+"]", "volume", "rm", name)
	b.Docker(t, "stop", "-t", "0", id)
	refused(t, b, "volume is in use", "volume", "rm", "-f", name)
	if got := b.Docker(t, "ps", "-a", "-q", "--no-trunc", "--filter", "volume="+name); got != id {
		t.Errorf("containers of the volume: %s", got)
	}
	b.Docker(t, "rm", id)
	b.Docker(t, "volume", "rm", name)
	refused(t, b, "no such volume", "volume", "rm", name)
	refused(t, b, "no such volume", "volume", "inspect", name)
}

// Docker has no word for another name, so that an account asks for it beside
// Docker's calls.
func v07Rename(t *testing.T, b *bed.Bed) {
	jill := b.Tenant(t, "renames")
	name, other := volume(t, jill, ""), volume(t, jill, "-other")
	renamed := name + "-renamed"
	removeLater(t, jill, renamed)
	once(t, jill, []string{"-v", name + ":/data"}, "echo kept > /data/file")
	id := jill.Run(t, "-v", name+":/data", b.Image, "sleep", "1000")
	rename := func(to, want string) {
		t.Helper()
		_, err := jill.Own(t, "volume", "rename", name, to)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("rename of %s to %s: %v; want %q", name, to, err, want)
		}
	}
	rename(renamed, "volume is in use")
	jill.Docker(t, "stop", "-t", "0", id)
	rename(renamed, "volume is in use")
	jill.Docker(t, "rm", id)
	rename(other, "already exists")
	rename("/bad", "name")
	rename(renamed, "")
	refused(t, jill, "no such volume", "volume", "inspect", name)
	if got := once(t, jill, []string{"-v", renamed + ":/data"}, "cat /data/file"); got != "kept" {
		t.Errorf("under its new name the volume holds %q", got)
	}
}

// Triton's volumes were servers on a network; ours are files, which a
// container without a network has as well.
func v08NoNetworkIsNeeded(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "")
	mount := []string{"--network", "none", "-v", name + ":/data"}
	once(t, b, mount, "echo alone > /data/file")
	if got := once(t, b, mount, "cat /data/file"); got != "alone" {
		t.Errorf("without a network a container reads %q", got)
	}
}

// What compose asks for: a volume described where it is mounted.
func v09MountForm(t *testing.T, b *bed.Bed) {
	name := unique(t)
	removeLater(t, b, name)
	mount := "type=volume,source=" + name + ",target=/data,volume-driver=local,volume-label=kind=" + name
	once(t, b, []string{"--mount", mount}, "echo mounted > /data/file")
	if got := once(t, b, []string{"--mount", mount + ",readonly"}, "cat /data/file; touch /data/x 2>&1 || true"); !strings.HasPrefix(got, "mounted\n") || !strings.Contains(got, "Read-only") {
		t.Errorf("mounted read-only: %q", got)
	}
	if got := b.Docker(t, "volume", "ls", "-q", "--filter", "label=kind="+name); got != name {
		t.Errorf("volumes with the label: %q", got)
	}
	refused(t, b, "must not set ReadOnly mode", "run", "--mount", "type=volume,target=/d,readonly", b.Image, "true")
}

func v11LocalPaths(t *testing.T, b *bed.Bed) {
	refused(t, b, "destination can't be '/'", "run", "-v", unique(t)+":/", b.Image, "true")
	refused(t, b, "must be absolute", "run", "-v", unique(t)+":relative", b.Image, "true")
	refused(t, b, "Duplicate mount point: /d", "run", "-v", unique(t)+"-a:/d", "-v", unique(t)+"-b:/d", b.Image, "true")
	if got := once(t, b, []string{"-v", "/one", "-v", "/two/three"}, "touch /one/x /two/three/x && echo both"); got != "both" {
		t.Errorf("two volumes without names: %q", got)
	}
	if got := b.Docker(t, "volume", "ls", "-q", "--filter", "name="+unique(t)); got != "" {
		t.Errorf("a refused request left %s", got)
	}
}

func v12SharingWithModes(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "")
	owner := b.Run(t, "-v", name+":/data", "-v", "/own", b.Image, "sleep", "1000")
	b.Docker(t, "exec", owner, "sh", "-c", "echo a > /data/file; echo b > /own/file")
	const look = "cat /data/file /own/file; touch /data/new 2>&1 || true"
	for mode, writable := range map[string]bool{"": true, ":rw": true, ":ro": false} {
		got := once(t, b, []string{"--volumes-from", owner + mode}, look)
		if !strings.HasPrefix(got, "a\nb") || strings.Contains(got, "Read-only") == writable {
			t.Errorf("volumes from another container with mode %q: %q", mode, got)
		}
	}
	refused(t, b, "invalid mode", "run", "--rm", "--volumes-from", owner+":sideways", b.Image, "true")
	refused(t, b, "No such container", "run", "--rm", "--volumes-from", unique(t)+"-none", b.Image, "true")
	// The node of the one is the node of the other.
	for range 3 {
		id := b.Run(t, "--volumes-from", owner, b.Image, "sleep", "1000")
		if a, o := b.Inspect(t, id, "{{.Node.Name}}"), b.Inspect(t, owner, "{{.Node.Name}}"); a != o {
			t.Errorf("a container with volumes of one on %s is on %s", o, a)
		}
	}
}

func v14HostPathsAreNotForTenants(t *testing.T, b *bed.Bed) {
	jill := b.Tenant(t, unique(t)[max(0, len(unique(t))-20):])
	for _, args := range [][]string{
		{"-v", "/etc:/d"}, {"-v", "/etc:/d:ro"}, {"-v", "/var/run/docker.sock:/var/run/docker.sock"}, {"--mount", "type=bind,source=/etc,target=/d"},
	} {
		refused(t, jill, "host volumes are not supported", append(append([]string{"run", "--rm"}, args...), jill.Image, "true")...)
	}
}

func v15SameNameAnewIsEmpty(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "")
	mount := []string{"-v", name + ":/data"}
	once(t, b, mount, "echo old > /data/file")
	b.Docker(t, "volume", "rm", name)
	volume(t, b, "")
	if got := once(t, b, mount, "ls -A /data"); got != "" {
		t.Errorf("a volume made anew holds %q", got)
	}
}

func v16Filters(t *testing.T, b *bed.Bed) {
	used, free := volume(t, b, "-used", "--label", "of="+unique(t), "--label", "a"), volume(t, b, "-free", "--label", "of="+unique(t))
	b.Run(t, "-v", used+":/data", b.Image, "sleep", "1000")
	mine := "label=of=" + unique(t)
	for want, filters := range map[string][]string{
		used:               {"dangling=false"},
		free:               {"dangling=true"},
		free + "\n" + used: {"driver=local"},
		"":                 {"driver=nope"},
		used + "\n":        {"label=a"},
		free + "\n\n":      {"name=-free$"},
	} {
		args := []string{"volume", "ls", "-q", "--filter", mine}
		for _, filter := range filters {
			args = append(args, "--filter", filter)
		}
		if got := b.Docker(t, args...); got != strings.TrimSpace(want) {
			t.Errorf("%v lists %q, want %q", filters, got, want)
		}
	}
	refused(t, b, "invalid filter", "volume", "ls", "--filter", "colour=red")
	refused(t, b, "can only update cluster volumes", "volume", "update", "--availability", "drain", free)
}

func v18Modes(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "")
	for mode, want := range map[string]string{"": "written", ":rw": "written", ":ro": "refused", ":ro,nocopy": "refused", ":z": "written"} {
		if got := once(t, b, []string{"-v", name + ":/data" + mode}, "touch /data/x 2>/dev/null && echo written || echo refused"); got != want {
			t.Errorf("mode %q: %s", mode, got)
		}
	}
	for _, mode := range []string{":sideways", ":ro,rw", ":rshared"} {
		refused(t, b, "invalid mode", "run", "--rm", "-v", name+":/data"+mode, b.Image, "true")
	}
	refused(t, b, "invalid", "run", "--rm", "-v", name+":/data:", b.Image, "true")
}

// A volume is on no node until a container mounts it; from then on it has its
// containers there.
func unboundUntilUsed(t *testing.T, b *bed.Bed) {
	name := volume(t, b, "")
	if got := nodeOf(t, b, name); got != "" {
		t.Errorf("before its first use the volume is on %s", got)
	}
	id := b.Run(t, "-v", name+":/data", b.Image, "sleep", "1000")
	node := b.Inspect(t, id, "{{.Node.Name}}")
	if got := nodeOf(t, b, name); got != node {
		t.Errorf("the volume is on %s, its container on %s", got, node)
	}
	b.Docker(t, "exec", id, "sh", "-c", "dd if=/dev/urandom of=/data/big bs=1M count=3 2>/dev/null; sync")
	bed.Eventually(t, func() error { // ZFS counts what it has written
		got := b.Docker(t, "system", "df", "-v", "--format", `{{range .Volumes}}{{if eq .Name "`+name+`"}}{{.Links}} {{.Size}}{{end}}{{end}}`)
		if !strings.HasPrefix(got, "1 3.") {
			return fmt.Errorf("docker system df shows %q", got)
		}
		return nil
	})
}
