package image

import (
	"context"
	"sync"
)

// keyed is a lock for each key. The zero value is ready.
type keyed struct {
	mu   sync.Mutex
	keys map[string]*waitable
}

type waitable struct {
	token chan struct{} // holds one element while unlocked
	users int
}

// lock waits for the lock of key until ctx ends, and returns what unlocks it.
func (k *keyed) lock(ctx context.Context, key string) (unlock func(), err error) {
	k.mu.Lock()
	if k.keys == nil {
		k.keys = make(map[string]*waitable)
	}
	w, ok := k.keys[key]
	if !ok {
		w = &waitable{token: make(chan struct{}, 1)}
		w.token <- struct{}{}
		k.keys[key] = w
	}
	w.users++
	k.mu.Unlock()

	select {
	case <-w.token:
		return func() {
			w.token <- struct{}{}
			k.leave(key, w)
		}, nil
	case <-ctx.Done():
		k.leave(key, w)
		return nil, ctx.Err()
	}
}

func (k *keyed) leave(key string, w *waitable) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w.users--; w.users == 0 {
		delete(k.keys, key)
	}
}
