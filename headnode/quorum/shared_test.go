package quorum

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

func questions(t *testing.T, ask func(context.Context) (uint64, error)) *shared {
	ctx, cancel := context.WithCancel(t.Context())
	s := &shared{life: ctx, running: new(sync.WaitGroup), ask: ask}
	t.Cleanup(func() {
		cancel()
		s.running.Wait()
	})
	return s
}

// Many callers cost few questions, and none gets the answer to a question that
// was asked before it came.
func TestCallersShareQuestionsAskedAfterThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, answer := make(chan uint64), make(chan struct{})
		number := uint64(0)
		s := questions(t, func(context.Context) (uint64, error) {
			number++
			asked <- number
			<-answer
			return number, nil
		})
		var callers sync.WaitGroup
		got := make([]uint64, 10)
		call := func(i int) {
			callers.Go(func() {
				var err error
				if got[i], err = s.get(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		call(0)
		<-asked
		for i := 1; i < len(got); i++ {
			call(i)
		}
		synctest.Wait()
		answer <- struct{}{}
		if n := <-asked; n != 2 {
			t.Errorf("question %d", n)
		}
		answer <- struct{}{}
		callers.Wait()
		for i, index := range got {
			if want := min(uint64(i)+1, 2); index != want {
				t.Errorf("caller %d got the answer to question %d, want %d", i, index, want)
			}
		}
	})
}

func TestCallerDoesNotWaitForAQuestionLongerThanItWants(t *testing.T) {
	t.Parallel()
	s := questions(t, func(ctx context.Context) (uint64, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
