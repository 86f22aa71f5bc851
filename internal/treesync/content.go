package treesync

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
)

// Want asks for a file's content.
type Want struct {
	Path  []byte `json:"path"`
	Block int    `json:"block"` // bytes
	// Have are the hashes, one after the other, of the blocks that the asker
	// has; a block that it says nothing of is zeros.
	Have []byte `json:"have,omitempty"`
	// Version is what List told of the file; "" is none.
	Version string `json:"version,omitempty"`
}

// Sizes of blocks: a file has few enough of them for their hashes to be sent.
const (
	minBlock = 128 << 10
	maxBlock = 4 << 20
	hashSize = 16
)

// blockOf is the size of the blocks of a file of that size.
func blockOf(size int64) int {
	block := minBlock
	for block < maxBlock && size > int64(block)*8192 {
		block *= 2
	}
	return block
}

// noData is the hash of zeros.
var noData [hashSize]byte

func hashOf(block []byte) []byte {
	if isZero(block) {
		return noData[:]
	}
	sum := sha256.Sum256(block)
	return sum[:hashSize]
}

// The frames of content. Each file is some blocks and holes and its end; all
// of it ends with frameOver.
const (
	frameBlock = 'B' // number (4 bytes), length (4), hash (16), bytes
	frameHole  = 'H' // number (4): the block is zeros
	frameEnd   = 'E' // size of the file (8), and 1 if it is the version that was asked for, else 0
	frameGone  = 'X' // no regular file has this name any more
	frameOver  = 'Z'
)

// Read writes the content of files below dir.
func Read(ctx context.Context, dir string, wants []Want, w io.Writer) error {
	tree, err := tarfs.OpenTree(dir)
	if err != nil {
		return fmt.Errorf("cannot read files: %w", err)
	}
	defer tree.Close()
	r := &contentWriter{ctx: ctx, tree: tree, out: bufio.NewWriterSize(w, 64<<10)}
	for _, want := range wants {
		if want.Block < minBlock || want.Block > maxBlock || len(want.Have)%hashSize != 0 {
			return fmt.Errorf("cannot read files: blocks of %d bytes, %d bytes of hashes", want.Block, len(want.Have))
		}
		if err := r.file(want); err != nil {
			return fmt.Errorf("cannot read files: %w", err)
		}
	}
	r.out.WriteByte(frameOver)
	return r.out.Flush()
}

type contentWriter struct {
	ctx   context.Context
	tree  *tarfs.Tree
	out   *bufio.Writer // keeps its first error
	ahead []piece
}

func (r *contentWriter) file(want Want) error {
	pinned, err := r.tree.Lookup(string(want.Path))
	var st unix.Stat_t
	if err == nil {
		defer unix.Close(pinned)
		err = unix.Fstat(pinned, &st)
	}
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG:
		return r.out.WriteByte(frameGone)
	case err != nil:
		return err
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", pinned), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	size, err := r.blocks(fd, want, &st)
	if err != nil {
		return err
	}
	// The name may lead to another file by now than when it was listed.
	same := byte(0)
	if want.Version != "" && want.Version == versionOf(&st) {
		same = 1
	}
	r.out.WriteByte(frameEnd)
	_, err = r.out.Write(append(binary.BigEndian.AppendUint64(nil, uint64(size)), same))
	return err
}

// blocks writes the blocks of a file that differ, and returns how long it is.
func (r *contentWriter) blocks(fd int, want Want, st *unix.Stat_t) (size int64, err error) {
	sparse := st.Blocks*512 < st.Size
	block := int64(want.Block)
	for number := int64(0); ; {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		for _, p := range r.load(fd, number*block, want.Block, st.Size, sparse) {
			if p.err != nil {
				return 0, p.err
			}
			if !p.hole && len(p.data) == 0 {
				return endOf(fd, size, sparse)
			}
			if size = number*block + int64(len(p.data)); p.hole {
				size = (number + 1) * block
			}
			if err := r.block(uint32(number), &p, want.Have); err != nil {
				return 0, err
			}
			if number++; !p.hole && len(p.data) < want.Block { // the end, whatever is appended meanwhile
				return endOf(fd, size, sparse)
			}
		}
	}
}

// endOf is how long a file is whose blocks end at size: a hole at the end is as
// long as the file says.
func endOf(fd int, size int64, sparse bool) (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	if sparse && st.Size < size {
		size = st.Size
	}
	return size, nil
}

// piece is a block of a file that was read.
type piece struct {
	data []byte // none behind the end of the file, and of a hole
	hash []byte
	hole bool
	err  error

	buffer []byte
}

// mostAhead bounds how many blocks are read at once, and kept.
const mostAhead = 4

// load reads the block at an offset, and with it, on as many processors as
// there are, some of those that follow it in a file of that size: to hash what
// has not changed is most of the work of a big file.
func (r *contentWriter) load(fd int, at int64, block int, size int64, sparse bool) []piece {
	count := 1
	if rest := size - at; rest > int64(block) {
		count = int(min((rest+int64(block)-1)/int64(block), int64(min(runtime.GOMAXPROCS(0), mostAhead))))
	}
	for len(r.ahead) < count {
		r.ahead = append(r.ahead, piece{})
	}
	pieces := r.ahead[:count]
	var others sync.WaitGroup
	for i := range pieces[1:] {
		others.Go(func() { pieces[i+1].read(fd, at+int64(i+1)*int64(block), block, sparse) })
	}
	pieces[0].read(fd, at, block, sparse)
	others.Wait()
	return pieces
}

func (p *piece) read(fd int, at int64, block int, sparse bool) {
	p.data, p.hash, p.err = nil, noData[:], nil
	if p.hole = sparse && inHole(fd, at, int64(block)); p.hole {
		return
	}
	if len(p.buffer) < block {
		p.buffer = make([]byte, block)
	}
	n, err := readAt(fd, p.buffer[:block], at)
	p.data, p.err = p.buffer[:n], err
	p.hash = hashOf(p.data)
}

// block writes a block unless the asker has it; an empty one is a hole.
func (r *contentWriter) block(number uint32, p *piece, have []byte) error {
	had := noData[:]
	if from := int(number) * hashSize; from < len(have) {
		had = have[from : from+hashSize]
	}
	if bytes.Equal(p.hash, had) {
		return nil
	}
	if bytes.Equal(p.hash, noData[:]) {
		r.out.WriteByte(frameHole)
		return binary.Write(r.out, binary.BigEndian, number)
	}
	r.out.WriteByte(frameBlock)
	header := binary.BigEndian.AppendUint32(nil, number)
	header = binary.BigEndian.AppendUint32(header, uint32(len(p.data)))
	r.out.Write(append(header, p.hash...))
	_, err := r.out.Write(p.data)
	return err
}

// inHole reports whether a whole block of a file was never written.
func inHole(fd int, at, length int64) bool {
	data, err := unix.Seek(fd, at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) { // nothing but a hole, or the end of the file
		end, err := unix.Seek(fd, 0, unix.SEEK_END)
		return err == nil && at < end
	}
	return err == nil && data >= at+length
}

func readAt(fd int, buffer []byte, at int64) (n int, err error) {
	for n < len(buffer) {
		more, err := unix.Pread(fd, buffer[n:], at+int64(n))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || more == 0 {
			return n, err
		}
		n += more
	}
	return n, nil
}

var zeros [maxBlock]byte

func isZero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }
