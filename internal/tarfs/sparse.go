package tarfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copyBlock is how much of a file is moved at once, and sparseBlock how long a
// run of zeros has to be, in its place in the file, to become a hole.
const (
	copyBlock   = 1 << 20
	sparseBlock = 64 << 10
)

var zeros [copyBlock]byte

// fill writes a file's content, and leaves holes where it is zeros. The size
// is the archive's word; the file gets what there is.
func (m *Maker) fill(ctx context.Context, file *os.File, content io.Reader) error {
	if m.buffer == nil {
		m.buffer = make([]byte, copyBlock)
	}
	var size, written int64
	for {
		n, ended := readBlock(content, m.buffer)
		end, err := writeData(file, m.buffer[:n], size)
		if err != nil {
			return err
		}
		size, written = size+int64(n), max(written, end)
		if ended == io.EOF {
			break
		}
		if ended != nil {
			return &StreamError{ended}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if written < size {
		return unix.Ftruncate(int(file.Fd()), size)
	}
	return nil
}

// readBlock fills buffer unless the content ends or fails before. It is
// io.ReadFull, which cannot tell a content's end from an archive cut short.
func readBlock(content io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = content.Read(buffer[n:])
		n += more
	}
	return n, err
}

// writeData writes data at an offset, but for blocks of zeros, and returns
// where the last byte was written.
func writeData(file *os.File, data []byte, offset int64) (end int64, err error) {
	for from := 0; from < len(data); {
		to, hole := run(data, from)
		if !hole {
			if _, err := file.WriteAt(data[from:to], offset+int64(from)); err != nil {
				return end, err
			}
			end = offset + int64(to)
		}
		from = to
	}
	return end, nil
}

// run returns the end of the longest run of data, or of zeros, from a place on.
func run(data []byte, from int) (to int, hole bool) {
	blockAt := func(at int) []byte { return data[at:min(at+sparseBlock, len(data))] }
	to = from + len(blockAt(from))
	hole = isZero(blockAt(from))
	for to < len(data) && isZero(blockAt(to)) == hole {
		to += len(blockAt(to))
	}
	return to, hole
}

func isZero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }

// readData hands a file's first size bytes to w. Holes are not read; a file
// that has become shorter ends in zeros.
func readData(ctx context.Context, w io.Writer, fd int, size int64, sparse bool, buffer []byte) error {
	for offset := int64(0); offset < size; {
		data, hole := offset, size
		if sparse {
			data, hole = extent(fd, offset, size)
		}
		if err := writeZeros(ctx, w, data-offset); err != nil {
			return err
		}
		offset = data
		for offset < hole {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := unix.Pread(fd, buffer[:min(int64(len(buffer)), hole-offset)], offset)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return err
			}
			if n == 0 {
				return writeZeros(ctx, w, size-offset)
			}
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			offset += int64(n)
		}
	}
	return nil
}

// extent finds the next data at or after offset, and its end. A file system
// that knows nothing of holes has none.
func extent(fd int, offset, size int64) (data, hole int64) {
	data, err := unix.Seek(fd, offset, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, size
	}
	if err != nil {
		return offset, size
	}
	hole, err = unix.Seek(fd, data, unix.SEEK_HOLE)
	if err != nil || hole <= data {
		hole = size
	}
	return min(data, size), min(hole, size)
}

func writeZeros(ctx context.Context, w io.Writer, n int64) error {
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		block := min(n, copyBlock)
		if _, err := w.Write(zeros[:block]); err != nil {
			return err
		}
		n -= block
	}
	return nil
}
