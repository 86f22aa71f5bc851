package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
)

// plainUppers keeps upper directories in a directory, without quota. A root is
// there once its directory has its name; the id of its image is in a symbolic
// link, which costs no write besides the directory's.
type plainUppers struct {
	dirname string
	trash   string
}

const imageLink = "image"

func (p *plainUppers) make(_ context.Context, container, imageID, over string, _ int64) error {
	final := filepath.Join(p.dirname, container)
	if _, err := os.Lstat(final); err == nil {
		return nil
	}
	// Half-made directories lie in the trash, which is emptied at the start.
	half := filepath.Join(p.trash, model.NewID())
	if err := os.Mkdir(half, 0o700); err != nil {
		return storageError("make a root", err)
	}
	err := fillUpper(half, over)
	if err == nil {
		err = os.Symlink(imageID, filepath.Join(half, imageLink))
	}
	if err == nil {
		err = failpoint.Hit("image.root.made")
	}
	if err == nil {
		err = os.Rename(half, final)
	}
	if err != nil {
		return errors.Join(storageError("make a root", err), os.RemoveAll(half))
	}
	return atomicfile.SyncDir(p.dirname)
}

func (p *plainUppers) dir(_ context.Context, container string) (string, error) {
	return filepath.Join(p.dirname, container), nil
}

// remove moves the directory away first: a half-emptied root must never be
// taken for a root.
func (p *plainUppers) remove(_ context.Context, container string) error {
	dead := filepath.Join(p.trash, model.NewID())
	err := os.Rename(filepath.Join(p.dirname, container), dead)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot remove root: %w", err)
	}
	if err := os.RemoveAll(dead); err != nil {
		return fmt.Errorf("cannot remove root: %w", err)
	}
	return nil
}

func (p *plainUppers) list(context.Context) (map[string]string, error) {
	entries, err := os.ReadDir(p.dirname)
	if err != nil {
		return nil, fmt.Errorf("cannot list roots: %w", err)
	}
	roots := make(map[string]string, len(entries))
	for _, entry := range entries {
		image, err := os.Readlink(filepath.Join(p.dirname, entry.Name(), imageLink))
		if err != nil || !strings.HasPrefix(image, "sha256:") {
			return nil, fmt.Errorf("cannot read root of %s: %w", entry.Name(), errors.Join(err, errors.New("no image in it")))
		}
		roots[entry.Name()] = image
	}
	return roots, nil
}

func (p *plainUppers) quota() bool { return false }
