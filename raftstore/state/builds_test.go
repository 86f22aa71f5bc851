package state

import (
	"reflect"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// builderLike is a builder with the address of that reservation.
func builderLike(r command.ReserveContainer) command.PutBuilder {
	return command.PutBuilder{Builder: model.Builder{AccountID: "account-1", NodeID: "node-1", NICs: r.Container.NICs}}
}

func TestABuildersAddressIsNobodyElses(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	web, box := reservation(1, "web"), reservation(2, "box")
	j.must(web)
	if err := j.try(builderLike(web)); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a container's address was given to a builder: %v", err)
	}
	put := builderLike(box)
	j.must(put)
	if err := j.try(box); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a builder's address was given to a container: %v", err)
	}
	if err := j.try(put); !model.IsKind(err, model.KindConflict) {
		t.Errorf("two heads have chosen at once: %v", err)
	}
	put.Before = "node-1"
	j.must(put)
	got, ok := j.View().Builder("account-1")
	if !ok || !reflect.DeepEqual(put.Builder, got) {
		t.Errorf("%+v became %+v", put.Builder, got)
	}
}

func TestABuilderGoesWithItsNodeAndItsAccount(t *testing.T) {
	t.Parallel()
	for _, gone := range []command.Command{command.RemoveNode{ID: "node-1"}, command.RemoveAccount{ID: "account-1"}} {
		j := newJournal(t)
		put := builderLike(reservation(1, "x"))
		j.must(put, gone)
		if b, ok := j.View().Builder("account-1"); ok {
			t.Errorf("after %T: %+v", gone, b)
		}
		if j.View().AddressUsed("net-1", put.Builder.NICs[0].Address.Addr()) {
			t.Errorf("after %T its address is still taken", gone)
		}
	}
}

func TestABuildersMemoryIsPromised(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	put := builderLike(reservation(1, "x"))
	promised := func() int64 { return j.View().Promised("node-1").Memory }
	put.Builder.Memory = 10
	j.must(put)
	if promised() != 10 {
		t.Errorf("%d bytes are promised", promised())
	}
	put.Before = "node-1"
	put.Builder.Memory = 1 << 50
	if err := j.try(put); !model.IsKind(err, model.KindExhausted) || promised() != 10 {
		t.Errorf("more than the node has: %v, %d bytes are promised", err, promised())
	}
	put.Builder.Memory = 7
	j.must(put)
	if promised() != 7 {
		t.Errorf("after a change %d bytes are promised", promised())
	}
	j.must(command.RemoveAccount{ID: "account-1"})
	if promised() != 0 {
		t.Errorf("without its account %d bytes are promised", promised())
	}
}
