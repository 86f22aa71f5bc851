package volumes

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/tarfs"
	"github.com/spearheadcloud/spearhead/model"
)

// fillingName marks a volume that files are being copied into. Found at the
// next copy it says that the last one was cut short.
const fillingName = "filling"

// Fill copies what the tree below rootDir has at target into an empty volume,
// with owners, modes and extended attributes, and gives the volume's top what
// that directory has. A volume that holds anything, and a target that is no
// directory, change nothing. alone says that no container mounts the volume:
// then what an interrupted copy has left goes first.
func (s *Store) Fill(ctx context.Context, id, rootDir, target string, alone bool) error {
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	dir, err := s.keeper.dir(ctx, id)
	if err != nil {
		return err
	}
	from, err := openTarget(rootDir, target)
	if from < 0 || err != nil {
		return err
	}
	defer unix.Close(from)
	marker, data := filepath.Join(dir, fillingName), filepath.Join(dir, dataName)
	if _, err := os.Lstat(marker); err == nil {
		if !alone {
			return nil // whoever mounts it has it as it is
		}
		if err := empty(data); err != nil {
			return err
		}
	}
	names, err := os.ReadDir(data)
	if err != nil || len(names) > 0 {
		return err
	}
	if err := atomicfile.Write(marker, nil, 0o600); err != nil {
		return storageError("copy an image's files into a volume", err)
	}
	if err := failpoint.Hit("volumes.filling"); err != nil {
		return err
	}
	if err := copyTree(ctx, from, data); err != nil {
		return storageError("copy an image's files into a volume", err)
	}
	if err := failpoint.Hit("volumes.filled"); err != nil {
		return err
	}
	if err := os.Remove(marker); err != nil {
		return fmt.Errorf("cannot finish the copy into a volume: %w", err)
	}
	return nil
}

// openTarget opens the directory of a container's root (O_PATH), links followed
// inside of the root, or returns -1 if there is none.
func openTarget(rootDir, target string) (int, error) {
	tree, err := tarfs.OpenTree(rootDir)
	if err != nil {
		return -1, fmt.Errorf("cannot open the container's root: %w", err)
	}
	defer tree.Close()
	fd, err := tree.Resolve(target)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("cannot open %s in the container's root: %w", target, err)
	}
	return fd, nil
}

// empty removes what a directory holds.
func empty(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("cannot empty a volume: %w", err)
	}
	defer root.Close()
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, root.RemoveAll(entry.Name()))
	}
	if err != nil {
		return fmt.Errorf("cannot empty a volume: %w", err)
	}
	return nil
}

// copyTree copies a directory with all that is below it onto an empty one.
func copyTree(ctx context.Context, from int, to string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	archive, in := io.Pipe()
	defer archive.Close()
	packed := make(chan error, 1)
	go func() {
		err := pack(ctx, from, in)
		in.CloseWithError(err)
		packed <- err
	}()
	err := unpackInto(ctx, to, archive)
	archive.CloseWithError(err)
	if failed := <-packed; err == nil {
		err = failed
	}
	return err
}

// topName is the name of the copied directory itself in the archive between.
const topName = "."

func pack(ctx context.Context, from int, to io.Writer) error {
	packer := tarfs.NewPacker(to)
	if err := packer.AddTree(ctx, from, ".", topName); err != nil {
		return err
	}
	return packer.Close()
}

func unpackInto(ctx context.Context, to string, archive io.Reader) error {
	tree, err := tarfs.OpenTree(to)
	if err != nil {
		return err
	}
	defer tree.Close()
	maker := tarfs.Maker{Tree: tree}
	reader := tar.NewReader(archive)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return maker.Finish()
		}
		if err != nil {
			return err
		}
		name := path.Clean(header.Name)
		if name == topName {
			err = maker.Top(header)
		} else {
			dir, base := path.Split(name)
			err = maker.Make(ctx, dir, base, header, reader)
		}
		if err != nil {
			return model.WrapError(model.KindOf(err), err, "cannot copy %.200q into the volume", name)
		}
	}
}
