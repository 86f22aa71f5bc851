package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/bootid"
)

// A builder does not wait for the disk: what it keeps is a cache, and its kernel
// has all of it. While it runs, and until all is on the disk after its end, a
// file in its cache has the id of the machine's boot; a cache that has another
// boot's is one that the machine went down with, and not to be trusted.
const unsyncedFile = "unsynced"

// openCache makes an account's cache ready for a builder. One that the machine
// went down with is emptied.
func (b *Builders) openCache(accountID string) error {
	dir := b.cacheDir(accountID)
	boot, err := bootid.Read()
	if err != nil {
		return err
	}
	before, err := os.ReadFile(filepath.Join(dir, unsyncedFile))
	switch {
	case err == nil && string(before) != boot:
		b.cfg.Logger.Warn("the machine went down in the middle of a build; the account's cache begins anew", "op", "build", "account", accountID)
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("cannot remove a cache that the machine went down with: %w", err)
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot read whether the cache can be trusted: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the builder's cache: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(dir, unsyncedFile), []byte(boot), 0o600); err != nil {
		return fmt.Errorf("cannot note that the cache is in use: %w", err)
	}
	return nil
}

// settleCache writes an account's cache out to the disk. No builder may use it.
func (b *Builders) settleCache(accountID string) error {
	dir := b.cacheDir(accountID)
	boot, err := bootid.Read()
	if err != nil {
		return err
	}
	note := filepath.Join(dir, unsyncedFile)
	before, err := os.ReadFile(note)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(before) != boot {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read whether the cache is on the disk: %w", err)
	}
	folder, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot open the cache: %w", err)
	}
	defer folder.Close()
	if err := unix.Syncfs(int(folder.Fd())); err != nil {
		return fmt.Errorf("cannot write the cache to the disk: %w", err)
	}
	return os.Remove(note)
}
