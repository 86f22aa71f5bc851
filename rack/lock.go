package rack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Two sorts of lock: one for what all racks share, held for moments, and one
// for each rack, held while it is built or removed.

func sharedLock() string { return filepath.Join(racksDir, "lock") }

func (l layout) lock() string {
	sum := sha256.Sum256([]byte(l.dir))
	return filepath.Join(racksDir, fmt.Sprintf("%x.lock", sum[:8]))
}

// lockFile takes an exclusive lock on a file of racksDir and returns what
// releases it. It waits until ctx ends; flock(2) itself could not be given up.
// The file may be removed under the lock: one who waited then takes a new one.
func lockFile(ctx context.Context, path string) (release func(), err error) {
	var held *os.File
	err = poll(ctx, 10*time.Millisecond, func() (bool, error) {
		if err := os.MkdirAll(racksDir, 0o700); err != nil {
			return true, err
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, os.ErrNotExist) {
			return false, nil // the last rack has just gone, and the folder with it
		}
		if err != nil {
			return true, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return false, nil
			}
			return true, err
		}
		mine, err := f.Stat()
		if there, err2 := os.Stat(path); err != nil || err2 != nil || !os.SameFile(mine, there) {
			f.Close()
			return false, err
		}
		held = f
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot lock racks: %w", err)
	}
	return func() { held.Close() }, nil
}

// withShared runs f under the lock for what all racks share.
func withShared(ctx context.Context, f func() error) error {
	release, err := lockFile(ctx, sharedLock())
	if err != nil {
		return err
	}
	defer release()
	return f()
}
