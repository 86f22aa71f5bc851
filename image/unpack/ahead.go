package unpack

import (
	"io"
	"sync"
)

// ahead reads a stream in a goroutine of its own, so that a layer is
// decompressed while the files before are written: both cost about the same.
type ahead struct {
	full    chan block
	free    chan []byte
	stop    chan struct{}
	done    sync.WaitGroup
	current block
	rest    []byte // of current.data, not yet read
}

// block is what was read at once, and the error that ended it.
type block struct {
	data []byte
	err  error
}

const (
	aheadBlocks = 4
	aheadSize   = 256 << 10
)

// readAhead begins to read. end must be called, and waits for a read that is
// under way.
func readAhead(r io.Reader) *ahead {
	a := &ahead{full: make(chan block, aheadBlocks), free: make(chan []byte, aheadBlocks), stop: make(chan struct{})}
	for range aheadBlocks {
		a.free <- make([]byte, aheadSize)
	}
	a.done.Go(func() { a.run(r) })
	return a
}

func (a *ahead) run(r io.Reader) {
	defer close(a.full)
	for {
		var data []byte
		select {
		case data = <-a.free:
		case <-a.stop:
			return
		}
		n, err := fill(r, data)
		a.full <- block{data: data[:n], err: err} // there is room for all blocks
		if err != nil {
			return
		}
	}
}

// fill reads until data is full or the stream ends, with io.EOF at its end.
func fill(r io.Reader, data []byte) (n int, err error) {
	for n < len(data) && err == nil {
		var more int
		more, err = r.Read(data[n:])
		n += more
	}
	return n, err
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.current.err != nil {
			return 0, a.current.err
		}
		if a.current.data != nil {
			a.free <- a.current.data[:cap(a.current.data)]
		}
		a.current = <-a.full
		a.rest = a.current.data
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// end stops reading.
func (a *ahead) end() {
	close(a.stop)
	a.done.Wait()
}
