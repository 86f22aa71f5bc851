package runtime

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A dirWatch tells that something in a directory has changed.
type dirWatch struct {
	changed chan struct{} // at least one change since the last receive
	file    *os.File
	work    sync.WaitGroup
}

func watchDir(dir string) (*dirWatch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot watch log: %w", err)
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot watch log: %w", err)
	}
	w := &dirWatch{changed: make(chan struct{}, 1), file: os.NewFile(uintptr(fd), "inotify")}
	w.work.Go(func() {
		buf := make([]byte, 4096)
		for {
			if _, err := w.file.Read(buf); err != nil {
				return
			}
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
	})
	return w, nil
}

func (w *dirWatch) close() {
	w.file.Close()
	w.work.Wait()
}
