package images

import (
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// removal is one row of the table of what docker rmi may do.
type removal struct {
	by    string // name or id
	user  string // none, running or stopped: the container that uses the image
	force bool

	refusal string // the part of the refusal that tells the cause; "" is none
	stays   bool   // whether the image is still the account's
}

// removals is the table for an image of one name.
var removals = []removal{
	{by: "name", user: "none"},
	{by: "name", user: "none", force: true},
	{by: "id", user: "none"},
	{by: "id", user: "none", force: true},
	{by: "name", user: "running", refusal: "unable to remove repository reference", stays: true},
	{by: "name", user: "stopped", refusal: "unable to remove repository reference", stays: true},
	{by: "name", user: "running", force: true},
	{by: "name", user: "stopped", force: true},
	{by: "id", user: "running", refusal: "(cannot be forced) - image is being used by running container", stays: true},
	{by: "id", user: "running", force: true, refusal: "(cannot be forced) - image is being used by running container", stays: true},
	{by: "id", user: "stopped", refusal: "(must be forced) - image is being used by stopped container", stays: true},
	{by: "id", user: "stopped", force: true},
}

func (r removal) String() string {
	text := "by " + r.by + ", used by " + r.user
	if r.force {
		text += ", forced"
	}
	return text
}

func TestRemove(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t).Tenant(t, "remover")
	for _, row := range removals {
		t.Run(row.String(), func(t *testing.T) { row.try(t, b) })
	}
	t.Run("one of several names", func(t *testing.T) {
		fresh(t, b, "several:1")
		b.Docker(t, "tag", "several:1", "several:2")
		user := b.Run(t, "several:1", "sleep", "1000")
		if out := b.Docker(t, "rmi", "several:1"); out != "Untagged: several:1" {
			t.Errorf("it says %q", out)
		}
		b.Remove(t, user)
		b.Docker(t, "rmi", "several:2")
	})
	t.Run("an id of several repositories", func(t *testing.T) {
		id := fresh(t, b, "here:1")
		b.Docker(t, "tag", "here:1", "there:1")
		refusedWith(t, b, "(must be forced) - image is referenced in multiple repositories", "rmi", id)
		out := b.Docker(t, "rmi", "-f", id)
		for _, want := range []string{"Untagged: here:1", "Untagged: there:1", "Deleted: " + id} {
			if !strings.Contains(out, want) {
				t.Errorf("it says %q, which lacks %q", out, want)
			}
		}
	})
	t.Run("what is not there", func(t *testing.T) {
		refusedWith(t, b, "No such image: nothing:latest", "rmi", "nothing")
		refusedWith(t, b, "No such image: 0123456789ab", "rmi", "0123456789ab")
	})
}

// try removes an image as the row says.
func (r removal) try(t *testing.T, b *bed.Bed) {
	name := unique(t) + ":1"
	id := fresh(t, b, name)
	forget(t, b, name, id)
	container := ""
	switch r.user {
	case "running":
		container = b.Run(t, name, "sleep", "1000")
	case "stopped":
		container = b.Run(t, name, "true")
		b.Docker(t, "wait", container)
	}
	args := []string{"rmi"}
	if r.force {
		args = append(args, "-f")
	}
	target := map[string]string{"name": name, "id": id}[r.by]
	done := b.Try(t, append(args, target)...)
	switch {
	case r.refusal != "":
		short := container[:12]
		if done.Code == 0 || !strings.Contains(done.Stderr, "conflict: unable to ") || !strings.Contains(done.Stderr, r.refusal) || !strings.Contains(done.Stderr, short) {
			t.Errorf("exit code %d: %s%s; want the refusal %q with %s", done.Code, done.Stdout, done.Stderr, r.refusal, short)
		}
	case done.Code != 0 || !strings.Contains(done.Stdout, "Untagged: "+name):
		t.Errorf("exit code %d: %s%s", done.Code, done.Stdout, done.Stderr)
	case r.user == "running" && strings.Contains(done.Stdout, "Deleted: "):
		t.Errorf("an image in use was deleted: %s", done.Stdout)
	case r.user == "none" && !strings.Contains(done.Stdout, "Deleted: "+id):
		t.Errorf("an image that nobody uses was only untagged: %s", done.Stdout)
	}
	if named := b.Try(t, "image", "inspect", name).Code == 0; named != r.stays {
		t.Errorf("the image has its name: %v, want %v", named, r.stays)
	}
	switch r.user {
	case "running":
		b.Docker(t, "exec", container, "true")
		b.Docker(t, "restart", "-t", "0", container)
	case "stopped":
		b.Docker(t, "start", container)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t).Tenant(t, "namer")
	base := b.Image
	id := fresh(t, b, "own/app:1")
	b.Docker(t, "tag", "own/app:1", "other.example:5000/app")
	b.Docker(t, "tag", id, "own/app:2")

	all := b.Docker(t, "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
	for _, name := range []string{"own/app:1", "own/app:2", "other.example:5000/app:latest"} {
		if !strings.Contains(all, name+" "+id) {
			t.Errorf("docker images lists %q, which lacks %s", all, name)
		}
	}
	if out := b.Docker(t, "images", "-q", "own/app"); strings.Count(out, "\n") != 1 {
		t.Errorf("the images of one repository: %q", out)
	}
	if out := b.Docker(t, "images", "-q", "--filter", "before="+id); !strings.HasPrefix(b.Inspect(t, base, "{{.Id}}"), "sha256:"+out) || out == "" {
		t.Errorf("the images before that one: %q", out)
	}
	if out := b.Docker(t, "images", "-q", "--filter", "label=made.by=nobody"); out != "" {
		t.Errorf("the images with a label that none has: %q", out)
	}

	history := b.Docker(t, "history", "--no-trunc", "--format", "{{.ID}} {{.CreatedBy}}", "own/app:1")
	lines := strings.Split(history, "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], id) {
		t.Errorf("docker history says %q", history)
	}
	if got := b.Inspect(t, "own/app:1", "{{.Os}} {{len .RootFS.Layers}} {{json .Config.Cmd}}"); got != `linux 2 ["sleep","1000"]` {
		t.Errorf("docker inspect says %s", got)
	}

	for _, name := range []string{"own/app:", "own/UPPER", "a:b:c"} {
		if done := b.Try(t, "tag", id, name); done.Code == 0 {
			t.Errorf("%q became a name", name)
		}
	}
	b.Docker(t, "rmi", "own/app:1", "own/app:2", "other.example:5000/app")
	refusedWith(t, b, "No such image", "image", "inspect", id)
}

func TestPrune(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t).Tenant(t, "pruner")
	first := fresh(t, b, "moving:1")
	fresh(t, b, "moving:1") // takes the name from the first
	if out := b.Docker(t, "images", "-q", "--no-trunc", "--filter", "dangling=true"); out != first {
		t.Errorf("the images without a name: %q, want %s", out, first)
	}
	used := b.Run(t, "moving:1", "sleep", "1000")
	out := b.Docker(t, "image", "prune", "-f")
	if !strings.Contains(out, "deleted: "+first) || strings.Contains(out, "untagged: moving:1") || !strings.Contains(out, "Total reclaimed space: ") {
		t.Errorf("docker image prune says %q", out)
	}
	b.Docker(t, "tag", b.Image, "unused:1")
	b.Docker(t, "image", "prune", "-af")
	if out := b.Docker(t, "images", "--format", "{{.Repository}}:{{.Tag}}"); out != "moving:1" {
		t.Errorf("what is used is %q", out)
	}
	b.Remove(t, used)
	b.Docker(t, "image", "prune", "-af")
	if out := b.Docker(t, "images", "-aq"); out != "" {
		t.Errorf("after pruning all there is %q", out)
	}
}

// TestDiskUsage counts what two images share once.
func TestDiskUsage(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t).Tenant(t, "measurer")
	b.Docker(t, "pull", b.Image)
	alone := usage(t, b)
	if alone.TotalCount != 1 || alone.Active != 0 || alone.Size == 0 || alone.Reclaimable != alone.Size {
		t.Fatalf("one image: %+v", alone)
	}
	container := b.Docker(t, "create", b.Image, "sleep", "1000")
	t.Cleanup(func() { b.Remove(t, container) })
	b.Docker(t, "cp", bigFile(t, 1<<20), container+":/big")
	b.Docker(t, "commit", container, "bigger:1")
	both := usage(t, b)
	if grown := both.Size - alone.Size; both.TotalCount != 2 || both.Active != 1 || grown < 1<<20 || grown > 1<<20+64<<10 {
		t.Errorf("two images, one with 1 MiB more: %+v, after %+v", both, alone)
	}
	for _, item := range both.Items {
		if item.SharedSize != alone.Size {
			t.Errorf("%v shares %d bytes, want %d", item.RepoTags, item.SharedSize, alone.Size)
		}
	}
	out := b.Docker(t, "system", "df")
	if !strings.Contains(out, "Images") || !strings.Contains(out, "Build Cache") {
		t.Errorf("docker system df says %q", out)
	}
	b.Docker(t, "system", "df", "-v")
}
