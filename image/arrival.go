package image

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
)

// arrival is a layer on its way into the content store. One may read it while
// it comes, from the file that it is written to, which is the same however often
// the download breaks off and goes on. What is read before the end is worth
// nothing by itself: only when the layer is whole and has its digest does a
// reader see the end.
type arrival struct {
	mu    sync.Mutex
	news  chan struct{} // closed at each change, and replaced
	file  *os.File      // what has come so far; nil as long as nothing has
	come  int64         // bytes of it
	ended bool
	fresh bool  // it was not here before
	err   error // why it does not come
	left  chan struct{}
}

func newArrival() *arrival { return &arrival{news: make(chan struct{})} }

// change carries out a change and tells who waits for one.
func (a *arrival) change(do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	do()
	close(a.news)
	a.news = make(chan struct{})
}

// begin tells where the layer is written to, and how much of it is there.
func (a *arrival) begin(open func() (*os.File, error), come int64) error {
	if a.begun() {
		return nil
	}
	file, err := open()
	if err != nil {
		return err
	}
	a.change(func() { a.file, a.come = file, come })
	return nil
}

// begun reports whether it is known where the layer is written to.
func (a *arrival) begun() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file != nil
}

// grow tells how many bytes are there now.
func (a *arrival) grow(come int64) { a.change(func() { a.come = come }) }

// end tells what became of the layer.
func (a *arrival) end(fresh bool, err error) {
	a.change(func() { a.ended, a.fresh, a.err = true, fresh, err })
}

// close lets go of the file when nobody reads any more.
func (a *arrival) close() {
	if a.file != nil {
		a.file.Close()
	}
}

// await waits until ready says so.
func (a *arrival) await(ctx context.Context, ready func() bool) error {
	for {
		a.mu.Lock()
		is, news := ready(), a.news
		a.mu.Unlock()
		if is {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// whole waits until the layer is in the content store, and tells whether it was
// not there before.
func (a *arrival) whole(ctx context.Context) (fresh bool, err error) {
	if err := a.await(ctx, func() bool { return a.ended }); err != nil {
		return false, err
	}
	return a.fresh, a.err
}

// follow waits until something of the layer can be read. If that is before its
// end, the caller may read along, and must leave.
func (a *arrival) follow(ctx context.Context) (along bool, err error) {
	err = a.await(ctx, func() bool {
		if along = a.file != nil && !a.ended; along {
			a.left = make(chan struct{})
		}
		return along || a.ended
	})
	return along, err
}

// leave ends what follow began.
func (a *arrival) leave() { close(a.left) }

// unfollowed waits until the one who follows, if there is one, has left.
func (a *arrival) unfollowed(ctx context.Context) error {
	a.mu.Lock()
	left := a.left
	a.mu.Unlock()
	if left == nil {
		return nil
	}
	select {
	case <-left:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// arrivalReader reads a layer while it comes. Its meter, which tells of the
// unpacking, is silent until the download has told of its end.
type arrivalReader struct {
	ctx    context.Context // of the pull
	from   *arrival
	meter  *meter
	offset int64
}

// Read implements io.Reader.
func (r *arrivalReader) Read(b []byte) (int, error) {
	a := r.from
	var come int64
	var ended bool
	var failed error
	if err := a.await(r.ctx, func() bool {
		come, ended, failed = a.come, a.ended, a.err
		return come > r.offset || ended
	}); err != nil {
		return 0, err
	}
	switch {
	case failed != nil:
		return 0, failed
	case come <= r.offset:
		return 0, io.EOF
	}
	n, err := a.file.ReadAt(b[:min(int64(len(b)), come-r.offset)], r.offset)
	r.offset += int64(n)
	if ended {
		r.meter.at(r.offset)
	}
	if err == io.EOF { // somebody else has made the file shorter
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// ingest opens the file that a layer is being written to. containerd's store
// (plugins/content/local) has a folder for each, with its name in it, which the
// database above the store makes of a layer's digest.
func (s *Store) ingest(layer digest.Digest) (*os.File, error) {
	folders, err := filepath.Glob(s.path("content", "ingest", "*", "ref"))
	if err != nil {
		return nil, err
	}
	for _, ref := range folders {
		name, err := os.ReadFile(ref)
		if err == nil && strings.HasSuffix(string(name), "/"+layer.String()) {
			return os.Open(filepath.Join(filepath.Dir(ref), "data"))
		}
	}
	return nil, os.ErrNotExist
}
