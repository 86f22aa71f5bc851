package images_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// push sends ref and returns the tags that were told of.
func push(t *testing.T, c *headtest.Center, a model.Account, ref string) ([]string, error) {
	t.Helper()
	var tags []string
	err := c.Images.Push(headtest.Context(t), a, dockerapi.PushRequest{Ref: ref}, func(s dockerapi.PushStep) {
		if s.Tag != "" {
			tags = append(tags, s.Tag+" "+s.Pushed.Digest)
		}
	})
	return tags, err
}

// eventsOf lists the account's events of images: action, actor, name.
func eventsOf(c *headtest.Center, a model.Account) []string {
	var all []string
	for _, e := range c.Store.View().Events(0, 0) {
		if e.Type == "image" && e.AccountID == a.ID {
			all = append(all, e.Action+" "+e.ActorID+" "+e.Attributes["name"])
		}
	}
	return all
}

func TestPush(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, jill, jack := headtest.Context(t), c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	pull(t, c, jill, "busybox")
	img := headtest.Image("busybox")
	for _, tag := range []string{"v1", "v2"} {
		if err := c.Images.Tag(ctx, jill, "busybox", "reg.example:5000/jill/box", tag); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Images.Tag(ctx, jill, "busybox", "reg.example:5000/jill/boxes", "v1"); err != nil {
		t.Fatal(err)
	}
	tags, err := push(t, c, jill, "reg.example:5000/jill/box:v2")
	if diff := cmp.Diff([]string{"v2 " + img.Digest}, tags); diff != "" || err != nil {
		t.Error(diff, err)
	}
	tags, err = push(t, c, jill, "reg.example:5000/jill/box")
	if diff := cmp.Diff([]string{"v1 " + img.Digest, "v2 " + img.Digest}, tags); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if all := eventsOf(c, jill); all[len(all)-1] != "push reg.example:5000/jill/box:v2 reg.example:5000/jill/box" {
		t.Errorf("events are %q", all)
	}
	// What was pushed can be told by its digest there, and pulled by others.
	if got, err := c.Images.Get(ctx, jill, "reg.example:5000/jill/box@"+img.Digest); err != nil || got.ID != img.ID {
		t.Errorf("by its digest: %v", err)
	}
	if !pull(t, c, jack, "reg.example:5000/jill/box:v1").New {
		t.Error("nothing was pulled")
	}
	for ref, text := range map[string]string{
		"reg.example:5000/jill/box:v3": "tag does not exist: reg.example:5000/jill/box:v3",
		"reg.example:5000/jack/box":    "An image does not exist locally with the tag: reg.example:5000/jack/box",
	} {
		if _, err := push(t, c, jill, ref); !model.IsKind(err, model.KindNotFound) || model.UserText(err) != text {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if _, err := push(t, c, jack, "reg.example:5000/jill/boxes:v1"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("another account's name: %v", err)
	}
	err = c.Images.Push(ctx, jill, dockerapi.PushRequest{Ref: "docker.io/library/busybox:latest", Platform: "linux/arm64"}, func(dockerapi.PushStep) {})
	if !model.IsKind(err, model.KindNotFound) {
		t.Errorf("another platform: %v", err)
	}
}

// TestPushFromWhoCan: holders that cannot be reached are passed over, and if
// all are, another node gets the image first.
func TestPushFromWhoCan(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a, "busybox")
	holder, other := c.Agent("node-1"), c.Agent("node-2")
	if held, _ := holder.Images(ctx); len(held) == 0 {
		holder, other = other, holder
	}
	holder.Cut(true)
	defer holder.Cut(false)
	tags, err := push(t, c, a, "docker.io/library/busybox:latest")
	if len(tags) != 1 || err != nil {
		t.Errorf("pushed %v, error %v", tags, err)
	}
	if held, _ := other.Images(ctx); len(held) != 1 {
		t.Errorf("the other node holds %v", held)
	}
}

// TestSaveFromWhoCan: a holder may have given up the packed layers; another node
// has them, or gets them.
func TestSaveFromWhoCan(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a, "busybox")
	holder := c.Agent("node-1")
	if held, _ := holder.Images(ctx); len(held) == 0 {
		holder = c.Agent("node-2")
	}
	if err := holder.RemoveImage(ctx, headtest.Image("busybox").ID); err != nil {
		t.Fatal(err)
	}
	archive, err := c.Images.Save(ctx, a, []string{"busybox"}, "")
	if err != nil {
		t.Fatal(err)
	}
	archive.Close()
	if tags, err := push(t, c, a, "docker.io/library/busybox:latest"); len(tags) != 1 || err != nil {
		t.Errorf("pushed %v, error %v", tags, err)
	}
}

func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, jill, jack := headtest.Context(t), c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	newer := headtest.Image("newer")
	for _, node := range []string{"node-1", "node-2"} {
		c.Agent(node).Publish("docker.io/library/newer:1", newer)
	}
	pull(t, c, jill, "busybox")
	pull(t, c, jill, "newer:1")
	old := headtest.Image("busybox")
	if err := c.Images.Tag(ctx, jill, "newer:1", "newer", "2"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		refs []string
		want map[string][]string // names by id
	}{
		{[]string{"busybox"}, map[string][]string{old.ID: {"docker.io/library/busybox:latest"}}},
		{[]string{"newer"}, map[string][]string{newer.ID: {"docker.io/library/newer:1", "docker.io/library/newer:2"}}},
		{[]string{"newer:2", "newer:2", old.ID}, map[string][]string{newer.ID: {"docker.io/library/newer:2"}, old.ID: nil}},
		{[]string{"busybox@" + old.Digest}, map[string][]string{old.ID: nil}},
	} {
		archive, err := c.Images.Save(ctx, jill, test.refs, "")
		if err != nil {
			t.Fatalf("%v: %v", test.refs, err)
		}
		var saved []wire.LoadedImage
		if err := json.NewDecoder(archive).Decode(&saved); err != nil {
			t.Fatal(err)
		}
		archive.Close()
		got := map[string][]string{}
		for _, s := range saved {
			got[s.Image.ID] = s.Refs
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%v: %s", test.refs, diff)
		}
	}
	if _, err := c.Images.Save(ctx, jack, []string{"busybox"}, ""); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("another account's image: %v", err)
	}
	if _, err := c.Images.Save(ctx, jill, []string{"busybox"}, "linux/arm64"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("another platform: %v", err)
	}
	archive, err := c.Images.Save(ctx, jill, []string{"newer:2", old.ID}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var steps []string
	err = c.Images.Load(ctx, jack, dockerapi.LoadRequest{}, archive, func(s dockerapi.LoadStep) { steps = append(steps, s.ID+" "+strings.Join(s.Names, " ")) })
	slices.Sort(steps)
	want := []string{newer.ID + " newer:2", old.ID + " "}
	slices.Sort(want)
	if diff := cmp.Diff(want, steps); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if all, _ := c.Images.List(ctx, jack); len(all) != 2 {
		t.Errorf("jack has %d images", len(all))
	}
	if got, err := c.Images.Get(ctx, jack, old.ID); err != nil || len(got.Names) != 0 {
		t.Errorf("jack's image without a name: %+v, error %v", got.Names, err)
	}
	events := eventsOf(c, jack)
	slices.Sort(events)
	want = []string{"load " + newer.ID + " newer:2", "load " + old.ID + " " + old.ID}
	slices.Sort(want)
	if diff := cmp.Diff(want, events); diff != "" {
		t.Error(diff)
	}
}

// TestArchivesThatLie: names of an archive are checked, for the user made it.
func TestArchivesThatLie(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	for _, ref := range []string{"", "UPPER", "sha256:" + strings.Repeat("a", 64), "box@sha256:" + strings.Repeat("a", 64), strings.Repeat("a", 300)} {
		archive, err := json.Marshal([]wire.LoadedImage{{Image: headtest.Image("evil"), Refs: []string{ref}}})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Images.Load(ctx, a, dockerapi.LoadRequest{}, bytes.NewReader(archive), func(dockerapi.LoadStep) {})
		if !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%q: %v", ref, err)
		}
	}
	if all, _ := c.Images.List(ctx, a); len(all) != 0 {
		t.Errorf("the account has %+v", all)
	}
}

// TestTheSameImageInAnotherArchive: what other accounts' names rest on is not
// changed by who loads the same image packed otherwise.
func TestTheSameImageInAnotherArchive(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 2)
	ctx, jill, jack := headtest.Context(t), c.Account("jill", model.PolicyTenant), c.Account("jack", model.PolicyTenant)
	pull(t, c, jill, "busybox")
	img := headtest.Image("busybox")
	img.Digest = "sha256:" + strings.Repeat("0", 64)
	archive, err := json.Marshal([]wire.LoadedImage{{Image: img, Refs: []string{"docker.io/library/box:latest"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Images.Load(ctx, jack, dockerapi.LoadRequest{}, bytes.NewReader(archive), func(dockerapi.LoadStep) {}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Images.Get(ctx, jill, "busybox"); err != nil || got.Digest != headtest.Image("busybox").Digest {
		t.Errorf("the digest is %s now, error %v", got.Digest, err)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	r := dockerapi.ImportRequest{Name: "docker.io/jill/root:v1", Changes: []string{"ENV A=b", `CMD ["sh"]`}}
	id, err := c.Images.Import(ctx, a, r, strings.NewReader("a root"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Images.Get(ctx, a, "jill/root:v1")
	if err != nil || got.ID != id || got.Comment != "Imported from -" || !slices.Equal(got.Config.Env, []string{"A=b"}) || !slices.Equal(got.Config.Cmd, []string{"sh"}) {
		t.Errorf("imported %+v, error %v", got, err)
	}
	id, err = c.Images.Import(ctx, a, dockerapi.ImportRequest{Message: "mine"}, strings.NewReader("a root"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Images.Get(ctx, a, id); err != nil || len(got.Names) != 0 || got.Comment != "mine" {
		t.Errorf("without a name: %+v, error %v", got, err)
	}
	if diff := cmp.Diff("import "+id+" "+id, eventsOf(c, a)[1]); diff != "" {
		t.Error(diff)
	}
	_, err = c.Images.Import(ctx, a, dockerapi.ImportRequest{Changes: []string{"RUN x"}}, strings.NewReader("a root"))
	if !model.IsKind(err, model.KindInvalid) {
		t.Errorf("an instruction that is none of a configuration's: %v", err)
	}
}

func TestRegistriesAreAskedByNodes(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	for _, tag := range []string{"2", "1"} {
		c.Agent("node-1").Publish("docker.io/library/busybox:"+tag, headtest.Image("busybox"))
	}
	tags, err := c.Images.Tags(ctx, a, "docker.io/library/busybox:latest", wire.RegistryAuth{})
	if diff := cmp.Diff([]string{"1", "2", "latest"}, tags); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if found, err := c.Images.Resolve(ctx, a, headtest.Busybox, wire.RegistryAuth{}); err != nil || found.Digest != headtest.Image("busybox").Digest {
		t.Errorf("resolved %+v, error %v", found, err)
	}
	if found, err := c.Images.Search(ctx, a, wire.SearchRequest{Term: "x"}); err != nil || len(found) != 1 {
		t.Errorf("found %+v, error %v", found, err)
	}
	if names := c.Store.View().ImageNames(a.ID); len(names) != 0 {
		t.Errorf("asking gave the account %+v", names)
	}
}

// TestCredentialsStayNowhere looks for them in the log, the errors and every
// file of the state after each use that there is of them.
func TestCredentialsStayNowhere(t *testing.T) {
	t.Parallel()
	const secret = "s3cret-of-jill"
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	auth := wire.RegistryAuth{Username: "jill", Password: secret, IdentityToken: secret, RegistryToken: secret}
	var told []string
	tell := func(err error) {
		if err != nil {
			told = append(told, err.Error())
		}
	}
	for _, ref := range []string{headtest.Busybox, "docker.io/library/none:latest"} {
		_, err := c.Images.Pull(ctx, a, dockerapi.PullRequest{Ref: ref, Auth: auth}, func(wire.PullProgress) {})
		tell(err)
		tell(c.Images.Push(ctx, a, dockerapi.PushRequest{Ref: ref, Auth: auth}, func(dockerapi.PushStep) {}))
		_, err = c.Images.Resolve(ctx, a, ref, auth)
		tell(err)
		_, err = c.Images.Tags(ctx, a, ref, auth)
		tell(err)
	}
	_, err := c.Images.Search(ctx, a, wire.SearchRequest{Term: "x", Auth: auth})
	tell(err)
	host, _ := registry(t, "Bearer", httptest.NewServer)
	for _, listed := range [][]string{{host}, nil} {
		for _, used := range []wire.RegistryAuth{auth, {Username: "jill", Password: secret}, {IdentityToken: secret}} {
			_, err := loginAt(t, listed, "", host, used)
			tell(err)
		}
	}
	if len(told) < 8 {
		t.Errorf("only %d errors were seen: %q", len(told), told)
	}
	if text := strings.Join(told, "\n") + c.Logged(); strings.Contains(text, secret) {
		t.Errorf("the credentials are told: %s", text)
	}
	err = filepath.WalkDir(c.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("the credentials are in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
