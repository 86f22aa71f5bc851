package images

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var pushedLine = regexp.MustCompile(`(?m)^(\S+): digest: (sha256:[0-9a-f]{64}) size: (\d+)$`)

// tagsOf are those that a registry has of a repository.
func tagsOf(t *testing.T, r *registry, repository string) []string {
	t.Helper()
	var answer struct{ Tags []string }
	text, _ := r.call(t, http.MethodGet, "/v2/"+repository+"/tags/list", "application/json", "")
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("the registry lists %q: %v", text, err)
	}
	slices.Sort(answer.Tags)
	return answer.Tags
}

func TestPush(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	name := r.address + "/team/app"
	fresh(t, b, name+":1")
	forget(t, b, name+":1", name+":2", name+":3", r.address+"/other/app:1")
	b.Docker(t, "tag", name+":1", name+":2")

	first := b.Docker(t, "push", name+":1")
	if want := "The push refers to repository [" + name + "]"; !strings.HasPrefix(first, want) {
		t.Errorf("a push says %q, which does not begin with %q", first, want)
	}
	told := pushedLine.FindStringSubmatch(first)
	if told == nil || told[1] != "1" || strings.Count(first, ": Pushed") == 0 {
		t.Fatalf("a push says %q", first)
	}
	if got := digestOf(t, b, name+":1"); got != told[2] {
		t.Errorf("the image has digest %s after it was pushed as %s", got, told[2])
	}
	if got := tagsOf(t, r, "team/app"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("the push of one tag brought %v", got)
	}

	again := b.Docker(t, "push", name+":1")
	if !strings.Contains(again, "Layer already exists") || strings.Contains(again, ": Pushed") || !strings.Contains(again, told[2]) {
		t.Errorf("a second push says %q", again)
	}

	fresh(t, b, name+":3")
	all := b.Docker(t, "push", "-a", name)
	if got := tagsOf(t, r, "team/app"); !slices.Equal(got, []string{"1", "2", "3"}) || len(pushedLine.FindAllString(all, -1)) != 3 {
		t.Errorf("the push of all tags brought %v; it says %q", got, all)
	}

	b.Docker(t, "tag", name+":1", r.address+"/other/app:1")
	before := r.taken()
	other := b.Docker(t, "push", r.address+"/other/app:1")
	if !strings.Contains(other, "Mounted from team/app") {
		t.Errorf("a push to another repository of the registry says %q", other)
	}
	if sent := r.taken() - before; sent > 100<<10 {
		t.Errorf("a push of layers that the registry has sent %d bytes", sent)
	}
	if got := b.Docker(t, "run", "--rm", r.address+"/other/app:1", "cat", "/etc/made-for"); got != name+":1" {
		t.Errorf("the image holds %q", got)
	}
}

func TestPushOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	name := besideHosts(t, b) + ":1/not/here"
	refusedWith(t, b, "An image does not exist locally with the tag: "+name, "push", name)
	refusedWith(t, b, "An image does not exist locally with the tag: "+name, "push", "-a", name)

	gone := freeHost(t, b) + "/app:1"
	fresh(t, b, gone)
	forget(t, b, gone)
	refusedWith(t, b, "cannot be reached", "push", gone)
	refusedWith(t, b, "tag does not exist: "+strings.TrimSuffix(gone, ":1")+":2", "push", strings.TrimSuffix(gone, ":1")+":2")
}

// TestPushOfACutConnection goes on where it was, or begins again; either way it succeeds.
func TestPushOfACutConnection(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	name := r.address + "/cut:1"
	fresh(t, b, name)
	forget(t, b, name)
	r.cutAfter(300) // in the head of an early answer
	b.Docker(t, "push", name)
	if !r.wasCut() {
		t.Error("nothing was cut")
	}
	if got := tagsOf(t, r, "cut"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("the registry has %v", got)
	}
}
