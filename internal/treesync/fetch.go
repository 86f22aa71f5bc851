package treesync

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// One question asks for the content of so many files, and with so many bytes of
// hashes, at most.
const (
	maxWants  = 256
	maxHashes = 1 << 20
)

// fetch brings files' content, and then their attributes, to what they are at
// the source.
func (p *Puller) fetch(ctx context.Context, files []*entry, from Source, stats *Stats) error {
	for len(files) > 0 {
		var wants []Want
		hashes := 0
		for _, e := range files {
			if len(wants) == maxWants || hashes >= maxHashes {
				break
			}
			want, err := p.want(e)
			if err != nil {
				return err
			}
			wants, hashes = append(wants, want), hashes+len(want.Have)
		}
		if err := p.receive(ctx, files[:len(wants)], wants, from, stats); err != nil {
			return err
		}
		files = files[len(wants):]
	}
	return nil
}

// want asks for the content of a file that is not known to be as it should be.
func (p *Puller) want(e *entry) (Want, error) {
	name := string(e.Path)
	want := Want{Path: e.Path, Block: blockOf(e.Size), Version: e.Version}
	here := p.here[name]
	if here == nil {
		return want, nil
	}
	parent, err := p.parent(parentOf(name))
	if err != nil {
		return want, err
	}
	defer unix.Close(parent)
	var st unix.Stat_t
	if err := unix.Fstatat(parent, path.Base(name), &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return want, err
	}
	if st.Nlink > 1 { // its other names may be other files by now
		return want, p.remove(name)
	}
	if here.hashes != nil && here.block == want.Block && here.size == st.Size {
		want.Have = here.hashes
		return want, nil
	}
	want.Have, err = hashFile(parent, path.Base(name), want.Block)
	return want, err
}

// hashFile hashes the blocks of a file that is here.
func hashFile(parent int, base string, block int) ([]byte, error) {
	fd, err := unix.Openat(parent, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var hashes []byte
	buffer := make([]byte, block)
	for at := int64(0); ; at += int64(block) {
		n, err := readAt(fd, buffer, at)
		if err != nil || n == 0 {
			return hashes, err
		}
		hashes = append(hashes, hashOf(buffer[:n])...)
	}
}

// receive asks for content and writes it.
func (p *Puller) receive(ctx context.Context, files []*entry, wants []Want, from Source, stats *Stats) error {
	stream, err := from.Read(ctx, wants)
	if err != nil {
		return err
	}
	defer stream.Close()
	in := newContentReader(stream)
	in.progress = p.Progress
	for i, e := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		stats.Files++
		if err := p.file(e, wants[i], in); err != nil {
			return err
		}
	}
	stats.Bytes += in.bytes
	return in.over()
}

// file writes what comes of one file. Before that the file counts as unknown,
// so that after a failure it is compared anew.
func (p *Puller) file(e *entry, want Want, in *contentReader) error {
	name := string(e.Path)
	parent, err := p.parent(parentOf(name))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	fresh := p.here[name] == nil
	fd, err := unix.Openat(parent, path.Base(name), unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	if fresh {
		p.times[parentOf(name)] = true
	}
	here := &local{kind: unix.S_IFREG}
	p.here[name] = here
	p.unwritten.add(name)
	file := os.NewFile(uintptr(fd), name)
	hashes, size, same, err := in.file(&eager{target: file, fd: fd}, want)
	if err == nil && size >= 0 {
		err = decorateOpen(fd, e)
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if size < 0 { // it is gone at the source; the next list says so
		return p.remove(name)
	}
	if same && size == e.Size {
		here.version = e.Version
	}
	here.size = size
	if size > minBlock { // hashes of small files are made again as fast
		here.hashes, here.block = hashes, want.Block
	}
	return nil
}

// contentReader reads frames of content, from whoever sends them.
type contentReader struct {
	in       *bufio.Reader
	progress func(int)
	buffer   []byte
	bytes    int64
}

func newContentReader(r io.Reader) *contentReader {
	return &contentReader{in: bufio.NewReaderSize(r, 64<<10)}
}

// target is a file that content is written to.
type target interface {
	WriteAt(b []byte, at int64) (int, error)
	Truncate(size int64) error
}

// file writes the frames of one file, and returns the hashes of its blocks, its
// size, or -1 if it is gone, and whether it is the version that was asked for.
func (c *contentReader) file(to target, want Want) (hashes []byte, size int64, same bool, err error) {
	hashes = append([]byte(nil), want.Have...)
	for {
		frame, err := c.in.ReadByte()
		if err != nil {
			return nil, 0, false, short(err)
		}
		switch frame {
		case frameGone:
			return nil, -1, false, nil
		case frameBlock, frameHole:
			hashes, err = c.block(frame, to, want.Block, hashes)
			if err != nil {
				return nil, 0, false, err
			}
		case frameEnd:
			return c.end(to, want.Block, hashes)
		default:
			return nil, 0, false, fmt.Errorf("cannot read content: frame %q is not known", frame)
		}
	}
}

// maxFile bounds the size of a file, as file systems do.
const maxFile = 1 << 60

// block writes one block, or zeros, and notes its hash.
func (c *contentReader) block(frame byte, to target, block int, hashes []byte) ([]byte, error) {
	number, err := c.number32()
	if err != nil {
		return nil, err
	}
	at := int64(number) * int64(block)
	from := int(number) * hashSize
	if at > maxFile || from > len(hashes)+maxGrowth {
		return nil, fmt.Errorf("cannot read content: a block lies beyond the end of its file")
	}
	data, hash := zeros[:block], noData[:]
	if frame == frameBlock {
		if data, hash, err = c.data(block); err != nil {
			return nil, err
		}
	}
	if _, err := to.WriteAt(data, at); err != nil {
		return nil, err
	}
	for len(hashes) < from+hashSize {
		hashes = append(hashes, noData[:]...)
	}
	copy(hashes[from:], hash)
	return hashes, nil
}

// maxGrowth bounds, in bytes of hashes, how far behind what is known of a file
// the next block of it may lie.
const maxGrowth = 64 << 20

func (c *contentReader) data(block int) (data, hash []byte, err error) {
	length, err := c.number32()
	if err != nil {
		return nil, nil, err
	}
	if int64(length) > int64(block) {
		return nil, nil, fmt.Errorf("cannot read content: a block has %d bytes and not %d at most", length, block)
	}
	if len(c.buffer) < hashSize+block {
		c.buffer = make([]byte, hashSize+block)
	}
	all := c.buffer[:hashSize+int(length)]
	if _, err := io.ReadFull(c.in, all); err != nil {
		return nil, nil, short(err)
	}
	c.bytes += int64(length)
	if c.progress != nil {
		c.progress(int(length))
	}
	return all[hashSize:], all[:hashSize], nil
}

func (c *contentReader) end(to target, block int, hashes []byte) ([]byte, int64, bool, error) {
	var b [9]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return nil, 0, false, short(err)
	}
	size := binary.BigEndian.Uint64(b[:8])
	if size > maxFile {
		return nil, 0, false, fmt.Errorf("cannot read content: a file has %d bytes", size)
	}
	blocks := (int64(size) + int64(block) - 1) / int64(block)
	if most := blocks * hashSize; int64(len(hashes)) > most {
		hashes = hashes[:most]
	}
	return hashes, int64(size), b[8] == 1, to.Truncate(int64(size))
}

func (c *contentReader) number32() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return 0, short(err)
	}
	return binary.BigEndian.Uint32(b[:]), nil
}

// over makes sure that the content was whole.
func (c *contentReader) over() error {
	frame, err := c.in.ReadByte()
	if err != nil {
		return short(err)
	}
	if frame != frameOver {
		return fmt.Errorf("cannot read content: frame %q follows the last file", frame)
	}
	return nil
}

func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShort
	}
	return err
}
