package revert_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/revert"
)

// build does three steps, fails at the one whose number is given (0: none), and tells
// which steps it undid.
func build(failAt int) (undone []int, err error) {
	var undo revert.Stack
	defer undo.Revert()
	for step := 1; step <= 3; step++ {
		if step == failAt {
			return nil, errors.New("step failed")
		}
		undo.Add(func() { undone = append(undone, step) })
	}
	undo.Success()
	return nil, nil
}

func TestRevertRunsNewestFirst(t *testing.T) {
	t.Parallel()
	var order []int
	var undo revert.Stack
	for i := range 4 {
		undo.Add(func() { order = append(order, i) })
	}
	undo.Revert()
	undo.Revert()
	if want := []int{3, 2, 1, 0}; !slices.Equal(order, want) {
		t.Fatalf("undo order %v, want %v, each once", order, want)
	}
}

func TestSuccessKeepsTheWork(t *testing.T) {
	t.Parallel()
	if undone, err := build(0); err != nil || len(undone) != 0 {
		t.Fatalf("a finished operation was undone: steps %v, error %v", undone, err)
	}
}

func TestFailureUndoesTheStepsDone(t *testing.T) {
	t.Parallel()
	undone, err := build(3)
	if want := []int{2, 1}; err == nil || !slices.Equal(undone, want) {
		t.Fatalf("undone steps %v, error %v; want steps %v and an error", undone, err, want)
	}
}

func TestPanicInOneUndoDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	var ran []string
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		var undo revert.Stack
		defer undo.Revert()
		undo.Add(func() { ran = append(ran, "oldest") })
		undo.Add(func() { panic("this undo is broken") })
		undo.Add(func() { ran = append(ran, "newest") })
	}()
	if want := []string{"newest", "oldest"}; !slices.Equal(ran, want) {
		t.Fatalf("undos run: %v, want %v", ran, want)
	}
}
