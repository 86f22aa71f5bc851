package accountapi

import (
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

// Nobody keeps others from their turns.
func TestCallsOfAnAccountAreBounded(t *testing.T) {
	t.Parallel()
	var all turns
	var ends []func()
	for range maxTurns {
		done, err := all.take("jill")
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, done)
	}
	if _, err := all.take("jill"); !model.IsKind(err, model.KindExhausted) {
		t.Errorf("one too many: %v", err)
	}
	if done, err := all.take("jack"); err != nil {
		t.Errorf("another account: %v", err)
	} else {
		done()
	}
	ends[0]()
	var err error
	if ends[0], err = all.take("jill"); err != nil {
		t.Fatalf("after one has ended: %v", err)
	}
	for _, done := range ends {
		done()
	}
	if len(all.taken) != 0 {
		t.Errorf("counted are still %v", all.taken)
	}
}
