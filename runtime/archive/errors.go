package archive

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// pathError tells why a path of the container cannot be used.
func (r *Root) pathError(p string, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return model.Errorf(model.KindNotFound, "Could not find the file %.4096s in container %s", p, r.id)
	case errors.Is(err, unix.ENOTDIR):
		return model.Errorf(model.KindInvalid, "%.4096s: not a directory", p)
	case errors.Is(err, unix.ELOOP):
		return model.Errorf(model.KindInvalid, "%.4096s: too many levels of symbolic links", p)
	case errors.Is(err, unix.ENAMETOOLONG):
		return model.Errorf(model.KindInvalid, "%.64s…: file name too long", p)
	}
	return typed(err, "cannot look at a file of the container")
}

// entryError tells why an entry of an archive was not unpacked.
func entryError(name string, err error) error {
	var stream *tarfs.StreamError
	if errors.As(err, &stream) {
		return streamError(stream.Err)
	}
	var fault *tarfs.ArchiveError
	if errors.As(err, &fault) {
		return model.WrapError(model.KindInvalid, err, "%s", fault.Error())
	}
	return typed(err, fmt.Sprintf("cannot write %.128q", name))
}

// streamError tells why an archive cannot be read. What the connection says
// stays as it is.
func streamError(err error) error {
	var errno unix.Errno
	var kind *model.Error
	if errors.As(err, &kind) || errors.As(err, &errno) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return model.WrapError(model.KindInvalid, err, "the archive cannot be read: %v", err)
}

// typed gives an error of the file system its kind. What is the fault of the
// container's files, or of what was asked, the user reads.
func typed(err error, what string) error {
	var kind *model.Error
	var errno unix.Errno
	switch {
	case errors.As(err, &kind), !errors.As(err, &errno):
		return err
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return model.WrapError(model.KindExhausted, err, "%s: no space left on device", what)
	case errors.Is(err, unix.EROFS):
		return model.WrapError(model.KindInvalid, err, "%s: read-only file system", what)
	case errors.Is(err, unix.EIO), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.EBADF):
		return fmt.Errorf("%s: %w", what, err)
	}
	return model.WrapError(model.KindInvalid, err, "%s: %v", what, errno)
}
