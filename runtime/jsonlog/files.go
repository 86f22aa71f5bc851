package jsonlog

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Name is the file that is written.
const Name = "json.log"

const compressedSuffix = ".gz"

// maxLooks bounds how often a log is looked at that is rotated all the time.
const maxLooks = 100

// A Part is a file of a log that is no longer written. It holds the bytes from
// First to before End of the log.
type Part struct {
	First, End int64
	Compressed bool
}

// Name is the name of the part's file.
func (p Part) Name() string {
	name := fmt.Sprintf("%s.%d-%d", Name, p.First, p.End)
	if p.Compressed {
		name += compressedSuffix
	}
	return name
}

// parsePart undoes Part.Name.
func parsePart(name string) (p Part, ok bool) {
	rest, ok := strings.CutPrefix(name, Name+".")
	if !ok {
		return p, false
	}
	rest, p.Compressed = strings.CutSuffix(rest, compressedSuffix)
	first, end, ok := strings.Cut(rest, "-")
	if !ok {
		return p, false
	}
	var err error
	if p.First, err = strconv.ParseInt(first, 10, 64); err != nil {
		return p, false
	}
	if p.End, err = strconv.ParseInt(end, 10, 64); err != nil {
		return p, false
	}
	return p, p.First >= 0 && p.First < p.End && p.Name() == name
}

// Parts lists the parts of the log in dir, oldest first. One whose compression
// is not finished is there twice, the uncompressed file first.
func Parts(dir string) ([]Part, error) {
	parts, err := list(dir)
	for range maxLooks {
		if err != nil {
			return nil, err
		}
		// A part may have got its compressed form behind the place in the
		// directory that was being read, and lost the other form before it. As that
		// happens only once, the next list has it.
		before := parts
		if parts, err = list(dir); slices.Equal(before, parts) {
			break
		}
	}
	return parts, err
}

func list(dir string) ([]Part, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list log: %w", err)
	}
	var parts []Part
	for _, e := range entries {
		if p, ok := parsePart(e.Name()); ok {
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, func(a, b Part) int {
		if a.End == b.End && a.Compressed != b.Compressed {
			if a.Compressed {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.End, b.End)
	})
	return parts, nil
}

// open opens the part's file, whether or not it is compressed by now. It
// returns nil if it is gone.
func (p Part) open(dir string) (*source, error) {
	for _, compressed := range []bool{false, true} {
		p.Compressed = compressed
		f, err := os.Open(filepath.Join(dir, p.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot open log: %w", err)
		}
		return &source{file: f, first: p.First, end: p.End, compressed: compressed}, nil
	}
	return nil, nil
}

// openCurrent opens the file that is being written; nil if there is none yet.
func openCurrent(dir string) (*source, error) {
	f, err := os.Open(filepath.Join(dir, Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open log: %w", err)
	}
	return &source{file: f, end: -1}, nil
}

// isCurrent reports whether s is still the file that is written. nil is, while
// there is none.
func (s *source) isCurrent(dir string) bool {
	now, err := os.Stat(filepath.Join(dir, Name))
	if s == nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	if err != nil {
		return false
	}
	mine, err := s.file.Stat()
	return err == nil && os.SameFile(mine, now)
}

// look lists the parts, each in one form, and opens the file that is being
// written, as they were at one moment.
func look(dir string) (parts []Part, current *source, err error) {
	for range maxLooks {
		if current, err = openCurrent(dir); err != nil {
			return nil, nil, err
		}
		parts, err = Parts(dir)
		if err != nil {
			current.close()
			return nil, nil, err
		}
		if current.isCurrent(dir) {
			break
		}
		current.close()
		current = nil
	}
	parts = slices.CompactFunc(parts, func(a, b Part) bool { return a.End == b.End })
	if current != nil && len(parts) > 0 {
		current.first = parts[len(parts)-1].End
	}
	return parts, current, nil
}
