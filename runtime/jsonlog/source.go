package jsonlog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// source is an open file of a log.
type source struct {
	file       *os.File
	compressed bool
	first      int64 // position of its first byte
	end        int64 // after its last byte; negative while it is being written
	final      bool  // it was being written and is not any more
	skip       int   // lines to leave out
}

func (s *source) close() {
	if s != nil {
		s.file.Close()
	}
}

// read has buf read the file from an offset, or from its end if that is nearer.
// It returns which it is. What is compressed and damaged has nothing to read.
func (s *source) read(buf *bufio.Reader, offset int64) (int64, error) {
	if s.compressed {
		return s.inflate(buf, offset), nil
	}
	size, err := s.file.Seek(0, io.SeekEnd)
	if err == nil {
		offset = min(offset, size)
		_, err = s.file.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read log: %w", err)
	}
	buf.Reset(s.file)
	return offset, nil
}

func (s *source) inflate(buf *bufio.Reader, offset int64) int64 {
	_, err := s.file.Seek(0, io.SeekStart)
	var z *gzip.Reader
	if err == nil {
		z, err = gzip.NewReader(s.file)
	}
	if err != nil {
		buf.Reset(bytes.NewReader(nil))
		return 0
	}
	n, _ := io.CopyN(io.Discard, z, offset)
	buf.Reset(z)
	return n
}

// tail goes back from the end of the file by want lines, or as many as there
// are. It returns how many that is, and the offset where they begin, or for a
// compressed file how many lines come before them.
func (s *source) tail(want int) (lines int, offset int64, skip int, err error) {
	if s.compressed {
		total := s.countLines()
		lines = min(want, total)
		return lines, 0, total - lines, nil
	}
	lines, offset, err = tailOffset(s.file, want)
	return lines, offset, 0, err
}

func (s *source) countLines() (n int) {
	buf := bufio.NewReaderSize(nil, readBuffer)
	s.inflate(buf, 0)
	piece := make([]byte, readBuffer)
	for {
		k, err := buf.Read(piece)
		n += bytes.Count(piece[:k], []byte("\n"))
		if err != nil {
			return n
		}
	}
}

// tailOffset finds where the last want lines of f begin.
func tailOffset(f *os.File, want int) (lines int, offset int64, err error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || want <= 0 {
		return 0, end, err
	}
	buf := make([]byte, readBuffer)
	for at := end; at > 0; {
		n := min(at, int64(len(buf)))
		at -= n
		if _, err := f.ReadAt(buf[:n], at); err != nil && !errors.Is(err, io.EOF) {
			return lines, 0, fmt.Errorf("cannot read log: %w", err)
		}
		for rest := buf[:n]; ; {
			i := bytes.LastIndexByte(rest, '\n')
			if i < 0 {
				break
			}
			rest = rest[:i]
			if at+int64(i) == end-1 {
				continue
			}
			if lines++; lines == want {
				return lines, at + int64(i) + 1, nil
			}
		}
	}
	if end > 0 {
		lines++ // the first line has no newline before it
	}
	return lines, 0, nil
}
