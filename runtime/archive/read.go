package archive

import (
	"bufio"
	"context"
	"io"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// Read describes a file and returns it, or a directory with all that is below
// it, as a tar archive whose names begin with the path's last part. The archive
// is made while it is read; Close ends the work and waits for it.
func (r *Root) Read(ctx context.Context, p string) (model.PathStat, io.ReadCloser, error) {
	f, err := r.find(p)
	if err != nil {
		return model.PathStat{}, nil, err
	}
	stat, err := f.describe()
	if err == nil && f.st.Mode&unix.S_IFMT == unix.S_IFSOCK {
		err = model.Errorf(model.KindInvalid, "cannot copy %.4096s: sockets cannot be archived", p)
	}
	if err != nil {
		f.close()
		return model.PathStat{}, nil, err
	}
	name := stat.Name
	if name == "/" {
		name = "" // the names below it begin with one slash
	}
	return stat, pack(ctx, func(ctx context.Context, packer *tarfs.Packer) error {
		defer f.close()
		return packer.AddPinned(ctx, f.fd, &f.st, name)
	}), nil
}

// Export returns the whole tree as a tar archive. The archive is made while it
// is read; Close ends the work and waits for it.
func (r *Root) Export(ctx context.Context) (io.ReadCloser, error) {
	f, err := r.find("/")
	if err != nil {
		return nil, err
	}
	return pack(ctx, func(ctx context.Context, packer *tarfs.Packer) error {
		defer f.close()
		return packer.AddBelow(ctx, f.fd)
	}), nil
}

// stream is an archive that is made while it is read.
type stream struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

const streamBuffer = 256 << 10

// pack has work fill an archive.
func pack(ctx context.Context, work func(context.Context, *tarfs.Packer) error) *stream {
	ctx, cancel := context.WithCancel(ctx)
	reader, writer := io.Pipe()
	s := &stream{PipeReader: reader, cancel: cancel, done: make(chan struct{})}
	// A reader that has gone away without a word must not hold the work up.
	unbind := context.AfterFunc(ctx, func() { writer.CloseWithError(ctx.Err()) })
	go func() {
		defer close(s.done)
		defer unbind()
		buffered := bufio.NewWriterSize(writer, streamBuffer)
		packer := tarfs.NewPacker(buffered)
		err := work(ctx, packer)
		if err == nil {
			err = packer.Close()
		}
		if err == nil {
			err = buffered.Flush()
		}
		writer.CloseWithError(typed(err, "cannot archive the container's files"))
	}()
	return s
}

// Close ends the work and waits for it.
func (s *stream) Close() error {
	s.cancel()
	err := s.PipeReader.Close()
	<-s.done
	return err
}
