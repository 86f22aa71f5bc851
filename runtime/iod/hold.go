package iod

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// HeldFdsEnv names the environment variable that tells a supervisor how many
// descriptors it inherits of one that died. Descriptor 3 is a file with their
// keys, one a line; they follow from 4 on.
const HeldFdsEnv = "SPEARHEAD_IOD_HELD"

// A keeper lends every descriptor that must outlive the supervisor to a second
// holder: whoever is connected to HoldName, one at a time. Packets are "keep
// KEY" with a descriptor, and "drop KEY".
type keeper struct {
	mu     sync.Mutex
	files  map[string]*os.File // not owned
	stale  map[string]bool     // keys that an earlier supervisor lent and this one does not keep
	holder *net.UnixConn
}

func newKeeper() *keeper { return &keeper{files: map[string]*os.File{}, stale: map[string]bool{}} }

// inherit notes what an earlier supervisor has lent. What is not kept when a
// holder comes is dropped then: one that goes on holding the pidfd of a process
// that has ended leaves its zombie, and the zombie of an exec keeps its
// container from ending.
func (k *keeper) inherit(held map[string]*os.File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range held {
		k.stale[key] = true
	}
}

func (k *keeper) keep(key string, f *os.File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.files[key] = f
	delete(k.stale, key)
	k.send("keep "+key, f)
}

// drop must be called before the file is closed.
func (k *keeper) drop(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.files[key]; !ok {
		return
	}
	delete(k.files, key)
	if k.holder == nil {
		k.stale[key] = true // it may hold what another supervisor lent it
	}
	k.send("drop "+key, nil)
}

// send gives up a holder that does not read.
func (k *keeper) send(text string, f *os.File) {
	if k.holder == nil {
		return
	}
	err := k.holder.SetWriteDeadline(time.Now().Add(2 * time.Second))
	if err == nil && f == nil {
		_, err = k.holder.Write([]byte(text))
	} else if err == nil {
		err = sendFd(k.holder, text, f)
	}
	if err != nil {
		k.holder.Close()
		k.holder = nil
	}
}

func sendFd(conn *net.UnixConn, text string, f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		_, _, failed = conn.WriteMsgUnix([]byte(text), unix.UnixRights(int(fd)), nil)
	})
	return errors.Join(err, failed)
}

// serve gives each new holder all that there is to hold.
func (k *keeper) serve(ctx context.Context, l *net.UnixListener) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return
		}
		k.mu.Lock()
		if k.holder != nil {
			k.holder.Close()
		}
		k.holder = conn
		for key := range k.stale {
			k.send("drop "+key, nil)
		}
		clear(k.stale)
		for key, f := range k.files {
			k.send("keep "+key, f)
		}
		k.mu.Unlock()
	}
}

// close lets the holder know that the supervisor goes.
func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holder != nil {
		k.holder.Close()
		k.holder = nil
	}
}

// ReceiveHeld reads one packet that a supervisor sent to its second holder.
// fd is -1 when the key is to be dropped.
func ReceiveHeld(conn *net.UnixConn) (key string, fd int, err error) {
	fd, text, err := receiveFd(conn)
	if err != nil {
		return "", -1, err
	}
	verb, key, _ := strings.Cut(string(text), " ")
	switch {
	case len(text) == 0 && fd < 0:
		return "", -1, net.ErrClosed
	case verb == "keep" && fd >= 0:
		return key, fd, nil
	case verb == "drop" && fd < 0:
		return key, -1, nil
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	return "", -1, fmt.Errorf("cannot understand packet %.40q", text)
}

// inherited takes over the descriptors of a supervisor that died.
func inherited() (map[string]*os.File, error) {
	files := map[string]*os.File{}
	value := os.Getenv(HeldFdsEnv)
	if value == "" {
		return files, nil
	}
	if err := os.Unsetenv(HeldFdsEnv); err != nil {
		return nil, err
	}
	count, err := strconv.Atoi(value)
	if err != nil || count < 0 || count > 1<<20 {
		return nil, fmt.Errorf("cannot take over descriptors: %s is %.20q", HeldFdsEnv, value)
	}
	for fd := 3; fd < 4+count; fd++ {
		unix.CloseOnExec(fd)
	}
	names := os.NewFile(3, "held")
	defer names.Close()
	if _, err := names.Seek(0, 0); err != nil {
		return nil, fmt.Errorf("cannot take over descriptors: %w", err)
	}
	lines := bufio.NewScanner(names)
	for i := 0; i < count && lines.Scan(); i++ {
		files[lines.Text()] = os.NewFile(uintptr(4+i), lines.Text())
	}
	return files, lines.Err()
}
