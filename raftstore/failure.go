package raftstore

import "sync"

// failure is the end of a store that must not go on. The first cause counts.
type failure struct {
	once sync.Once
	ch   chan struct{}
	err  error
}

func newFailure() *failure { return &failure{ch: make(chan struct{})} }

func (f *failure) fail(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.ch)
	})
}

// cause is nil while nothing has failed.
func (f *failure) cause() error {
	select {
	case <-f.ch:
		return f.err
	default:
		return nil
	}
}
