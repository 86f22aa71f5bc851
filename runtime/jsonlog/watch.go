package jsonlog

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A Watcher tells of changes to logs. All its watches share one inotify
// instance, of which the kernel gives few. The zero Watcher is ready; while it has
// watches it has a goroutine.
type Watcher struct {
	mu  sync.Mutex
	now *notifier // nil while nothing is watched
}

// notifier is an inotify instance. Its Watcher's lock guards it.
type notifier struct {
	file *os.File
	dirs map[int32]map[*Watch]struct{}
	done chan struct{}
}

// A Watch tells that a log may have more to read.
type Watch struct {
	// Changed holds one when something was written, or rotated, since it was
	// last received from.
	Changed chan struct{}

	watcher *Watcher
	of      *notifier
	dir     int32
}

// Watch watches the log in dir until the Watch is closed.
func (w *Watcher) Watch(dir string) (*Watch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now == nil {
		if err := w.start(); err != nil {
			return nil, err
		}
	}
	n := w.now
	wd, err := n.add(dir)
	if err != nil {
		w.stopIfIdle()
		return nil, fmt.Errorf("cannot watch log: %w", err)
	}
	if n.dirs[wd] == nil {
		n.dirs[wd] = map[*Watch]struct{}{}
	}
	watch := &Watch{Changed: make(chan struct{}, 1), watcher: w, of: n, dir: wd}
	n.dirs[wd][watch] = struct{}{}
	return watch, nil
}

func (w *Watcher) start() error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("cannot watch log: %w", err)
	}
	n := &notifier{file: os.NewFile(uintptr(fd), "inotify"), dirs: map[int32]map[*Watch]struct{}{}, done: make(chan struct{})}
	w.now = n
	go w.tell(n)
	return nil
}

// stopIfIdle ends the notifier if nothing is watched. It returns what to wait for,
// without the lock.
func (w *Watcher) stopIfIdle() <-chan struct{} {
	n := w.now
	if n == nil || len(n.dirs) > 0 {
		return nil
	}
	w.now = nil
	n.file.Close()
	return n.done
}

func (n *notifier) add(dir string) (wd int32, err error) {
	conn, err := n.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		var at int
		at, failed = unix.InotifyAddWatch(int(fd), dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_ONLYDIR)
		wd = int32(at)
	})
	if err == nil {
		err = failed
	}
	return wd, err
}

// tell reads events until the notifier is closed.
func (w *Watcher) tell(n *notifier) {
	defer close(n.done)
	buf := make([]byte, 16<<10)
	for {
		k, err := n.file.Read(buf)
		if err != nil {
			return
		}
		w.mu.Lock()
		for b := buf[:k]; len(b) >= unix.SizeofInotifyEvent; {
			wd := int32(binary.NativeEndian.Uint32(b))
			mask := binary.NativeEndian.Uint32(b[4:])
			size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
			b = b[min(size, len(b)):]
			if mask&unix.IN_Q_OVERFLOW == 0 {
				n.wake(wd)
				continue
			}
			for every := range n.dirs {
				n.wake(every)
			}
		}
		w.mu.Unlock()
	}
}

func (n *notifier) wake(dir int32) {
	for watch := range n.dirs[dir] {
		select {
		case watch.Changed <- struct{}{}:
		default:
		}
	}
}

// Close ends the watch.
func (w *Watch) Close() {
	w.watcher.mu.Lock()
	watches := w.of.dirs[w.dir]
	delete(watches, w)
	var done <-chan struct{}
	if len(watches) == 0 {
		delete(w.of.dirs, w.dir)
		if conn, err := w.of.file.SyscallConn(); err == nil {
			_ = conn.Control(func(fd uintptr) {
				_, _ = unix.InotifyRmWatch(int(fd), uint32(w.dir)) // it is gone already with its directory
			})
		}
		done = w.watcher.stopIfIdle()
	}
	w.watcher.mu.Unlock()
	if done != nil {
		<-done
	}
}
