package images_test

import (
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/images"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// FuzzFind looks for an image by any text: what is found is the account's, what
// is not is not there, ambiguous or no reference, and whose it is makes no
// difference to the words.
func FuzzFind(f *testing.F) {
	id := headtest.Image("busybox").ID
	for _, ref := range []string{
		"busybox", "busybox:latest", "docker.io/library/busybox", id, strings.TrimPrefix(id, "sha256:")[:12], "busybox@" + id, "sha256:", "UP", "a b",
		"localhost:5000/a:b@" + id, "", ":", "@", "docker.io/", strings.Repeat("a", 300),
	} {
		f.Add(ref)
	}
	store, index := state.New(), uint64(0)
	apply := func(c command.Command) {
		index++
		if _, err := store.Apply(index, command.Entry{Command: c}); err != nil {
			f.Fatalf("cannot apply %+v: %v", c, err)
		}
	}
	apply(command.CreateAccount{Account: model.Account{ID: "jill", Login: "jill", Policy: model.PolicyTenant}})
	apply(command.CreateAccount{Account: model.Account{ID: "jack", Login: "jack", Policy: model.PolicyTenant}})
	apply(command.PutImage{
		Image: headtest.Image("busybox"), Action: command.ActionPull,
		Name: model.ImageName{AccountID: "jill", Ref: headtest.Busybox, ImageID: id, Digest: headtest.Image("busybox").Digest},
	})
	f.Fuzz(func(t *testing.T, ref string) {
		img, err := images.Find(store.View(), "jill", ref)
		if err == nil && img.ID != id {
			t.Errorf("%q is %q", ref, img.ID)
		}
		_, other := images.Find(store.View(), "jack", ref)
		for _, err := range []error{err, other} {
			if err != nil && !model.IsKind(err, model.KindNotFound) && !model.IsKind(err, model.KindInvalid) {
				t.Errorf("%q: %v", ref, err)
			}
		}
		_, nobody := images.Find(store.View(), "nobody", ref)
		if other == nil || other.Error() != nobody.Error() {
			t.Errorf("%q: who has nothing is told %v where another has it, and else %v", ref, other, nobody)
		}
	})
}
