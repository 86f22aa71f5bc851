package iod

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

// A shelf keeps the files of a log that are no longer written: it drops the
// oldest, and compresses them while its container writes. Whatever it is killed at,
// load finds all that is left.
type shelf struct {
	dir      string
	max      int // parts kept
	compress bool

	mu      sync.Mutex // guards parts, and the files' names against a compression that ends
	parts   []jsonlog.Part
	halting atomic.Bool // asks the work to stop
	busy    bool        // compressing is under way
	work    sync.WaitGroup
}

const tempName = ".json.log.tmp"

func newShelf(dir string, files int, compress bool) *shelf {
	return &shelf{dir: dir, max: files - 1, compress: compress}
}

func (s *shelf) path(p jsonlog.Part) string { return filepath.Join(s.dir, p.Name()) }

// load takes over what is there. A compression that was cut short is
// undone, or finished if only the original was left to remove.
func (s *shelf) load() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := jsonlog.Parts(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	errs := []error{remove(filepath.Join(s.dir, tempName))}
	s.parts = nil
	for _, p := range found {
		if n := len(s.parts); n > 0 && s.parts[n-1].End == p.End {
			errs = append(errs, remove(s.path(s.parts[n-1])))
			s.parts[n-1] = p
			continue
		}
		s.parts = append(s.parts, p)
	}
	return errors.Join(append(errs, s.trim())...)
}

// add puts the file at path on the shelf.
func (s *shelf) add(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() == 0 {
		return nil // it could not be written
	}
	if err != nil {
		return fmt.Errorf("cannot rotate log: %w", err)
	}
	if s.max == 0 {
		return remove(path)
	}
	p := jsonlog.Part{}
	if n := len(s.parts); n > 0 {
		p.First = s.parts[n-1].End
	}
	p.End = p.First + st.Size()
	if err := os.Rename(path, s.path(p)); err != nil {
		return fmt.Errorf("cannot rotate log: %w", err)
	}
	if err := failpoint.Hit("iod/log-rotated"); err != nil {
		return err
	}
	s.parts = append(s.parts, p)
	err = s.trim()
	s.compressNext()
	return err
}

// trim drops what is too much.
func (s *shelf) trim() error {
	var errs []error
	for len(s.parts) > s.max {
		errs = append(errs, remove(s.path(s.parts[0])))
		s.parts = s.parts[1:]
	}
	return errors.Join(errs...)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot drop old log: %w", err)
	}
	return nil
}

// compressAll begins to compress what is not.
func (s *shelf) compressAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halting.Store(false)
	s.compressNext()
}

// stop ends the work soon, and waits for it. What is not compressed then is
// when the container writes again.
func (s *shelf) stop() {
	s.halting.Store(true)
	s.work.Wait()
}

// compressNext has the newest part compressed that is not, unless that is
// under way. The newest lives longest.
func (s *shelf) compressNext() {
	if !s.compress || s.busy {
		return
	}
	s.busy = true
	s.work.Go(func() {
		for {
			p, ok := s.uncompressed()
			if !ok {
				return
			}
			s.settle(p, s.deflate(p))
		}
	})
}

// uncompressed returns a part to compress. If there is none the work has ended.
func (s *shelf) uncompressed() (jsonlog.Part, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.parts) - 1; i >= 0 && !s.halting.Load(); i-- {
		if !s.parts[i].Compressed {
			return s.parts[i], true
		}
	}
	s.busy = false
	return jsonlog.Part{}, false
}

// settle puts the compressed file in the place of its original, unless that
// was dropped meanwhile. If there was no room for it, or the original is damaged, the
// original stays, and the work ends until the container writes to a new file.
func (s *shelf) settle(p jsonlog.Part, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	temp := filepath.Join(s.dir, tempName)
	i := slices.Index(s.parts, p)
	if err == nil && i >= 0 {
		small := p
		small.Compressed = true
		err = errors.Join(os.Rename(temp, s.path(small)), failpoint.Hit("iod/log-compressed"))
		if err == nil {
			s.parts[i] = small
			err = remove(s.path(p))
		}
	}
	if err != nil && i >= 0 {
		s.halting.Store(true)
	}
	_ = remove(temp) // if that fails, load removes it
}

var errHalted = errors.New("was asked to stop")

// deflate compresses a part into the temporary file.
func (s *shelf) deflate(p jsonlog.Part) (err error) {
	in, err := os.Open(s.path(p))
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	temp := filepath.Join(s.dir, tempName)
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	for {
		if s.halting.Load() {
			return errHalted
		}
		_, err := io.CopyN(z, in, 256<<10)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(z.Close(), out.Sync(), os.Chtimes(temp, st.ModTime(), st.ModTime()))
}
