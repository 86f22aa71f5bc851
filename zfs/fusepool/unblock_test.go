package fusepool_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// Signals that reach who waits for one file system do not stop the others.
func TestSignalsDoNotStopThePool(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("needs a C compiler: apt install gcc libc6-dev")
	}
	d := fusepooltest.Start(t, 256<<20)
	var dirs [2]string
	for i, name := range []string{"a", "b"} {
		argv := append(d.Command(), "create", d.Pool+"/"+name)
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		dirs[i] = filepath.Join(d.Mountpoint, name)
	}
	const rounds = 8_000
	var done, asking atomic.Int64
	asking.Store(-1)
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // signals are sent to this thread; it ends with its goroutine
		var got unix.Statfs_t
		for ; done.Load() < rounds; done.Add(1) {
			asking.Store(int64(unix.Gettid()))
			err := unix.Statfs(dirs[0], &got)
			asking.Store(-1)
			if err == nil {
				err = unix.Statfs(dirs[1], &got)
			}
			if err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	last, since := int64(0), time.Now()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
		if tid := asking.Load(); tid > 0 {
			// what the runtime sends itself to have goroutines take turns
			_ = unix.Tgkill(os.Getpid(), int(tid), unix.SIGURG)
		}
		if n := done.Load(); n != last {
			last, since = n, time.Now()
		} else if time.Since(since) > time.Minute {
			t.Fatalf("nothing answers after %d rounds", n)
		}
	}
}
