package runtime

import (
	"errors"
	"io/fs"
	"os"
	"path"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// placeholders are files that Docker gives every container's root. On all but
// the first a file of the container is mounted; by the first, which only has to
// be there, programs tell that they run in a container.
var placeholders = []string{"/.dockerenv", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}

// placeholderMode is Docker's, so that it is what an exported root shows.
const placeholderMode = 0o755

// makePlaceholders makes those that are missing, empty and never outside of the
// root.
func makePlaceholders(root *os.File) error {
	for _, name := range placeholders {
		dir, err := pathrs.MkdirAllHandle(root, path.Dir(name), 0o755)
		if err != nil {
			return model.WrapError(model.KindInvalid, err, "cannot create %s in the image", path.Dir(name))
		}
		err = makeEmpty(dir, path.Base(name))
		dir.Close()
		if err != nil {
			return model.WrapError(model.KindInvalid, err, "cannot create %s in the image", name)
		}
	}
	return nil
}

func makeEmpty(dir *os.File, name string) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, placeholderMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(unix.Fchmod(fd, placeholderMode), unix.Close(fd))
}
