package iod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
)

// unknownCode is the exit code of what ended unseen.
const unknownCode = 255

// A reaper collects the processes that are handed to a child subreaper when
// their parents are gone and that nobody else waits for.
type reaper struct {
	// starting is read-locked from before the runtime is run until the process
	// that it leaves behind is known: its status must not be taken meanwhile.
	starting sync.RWMutex
	// missed tells that starting was let go: what died meanwhile was left, and
	// nothing else may ever die.
	missed chan struct{}
	mu     sync.Mutex
	known  map[int]int // pids that somebody waits for → how many do
}

func newReaper() (*reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("cannot become a child subreaper: %w", err)
	}
	return &reaper{missed: make(chan struct{}, 1), known: map[int]int{}}, nil
}

// hold keeps strays from being reaped until release.
func (r *reaper) hold() { r.starting.RLock() }

func (r *reaper) release() {
	r.starting.RUnlock()
	notify(r.missed)
}

func (r *reaper) claim(pid, by int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[pid] += by; r.known[pid] <= 0 {
		delete(r.known, pid)
	}
}

// run reaps until ctx ends.
func (r *reaper) run(ctx context.Context) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	defer signal.Stop(died)
	for {
		select {
		case <-ctx.Done():
			return
		case <-died:
		case <-r.missed:
		}
		if r.starting.TryLock() {
			r.reapStrays()
			r.starting.Unlock()
		}
	}
}

// reapStrays looks only at children of the main thread: the kernel gives it
// those that lost their parents.
func (r *reaper) reapStrays() {
	self := strconv.Itoa(os.Getpid())
	list, err := os.ReadFile("/proc/self/task/" + self + "/children")
	if err != nil {
		return
	}
	for _, field := range strings.Fields(string(list)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			continue
		}
		r.mu.Lock()
		_, known := r.known[pid]
		r.mu.Unlock()
		if st, err := readStat(pid); err == nil && !known && st.state == 'Z' {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

// command runs the OCI runtime to its end.
func command(ctx context.Context, argv []string, stdin, stdout, stderr *os.File) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if stdin != nil {
		cmd.Stdin = stdin
	}
	if stdout != nil {
		cmd.Stdout = stdout
	}
	if stderr != nil {
		cmd.Stderr = stderr
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	loseProtection(cmd.Process.Pid)
	return errors.Join(failpoint.Hit("iod/runtime-begun"), cmd.Wait())
}

// loseProtection has the kernel treat a process as any other when memory runs out. Where this
// one is protected (OOMScoreAdjust in the agent's unit) its children are, too, and some
// versions of crun leave it so where a container asks for 0. What else a container asks for,
// the OCI runtime sets later. Where it fails, the process is protected and works as well.
func loseProtection(pid int) {
	file, err := os.OpenFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer file.Close()
	_, _ = file.WriteString("0") // as above
}

// procStat is what is used of /proc/PID/stat.
type procStat struct {
	state      byte
	parent     int
	session    int
	startTicks uint64
	exitStatus int // as wait(2) gives it; of a zombie, for those who may ask
}

func readStat(pid int) (procStat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, err
	}
	return parseStat(b)
}

func parseStat(b []byte) (procStat, error) {
	i := bytes.LastIndexByte(b, ')') // the name before it may hold anything
	fields := strings.Fields(string(b[i+1:]))
	if i < 0 || len(fields) < 50 {
		return procStat{}, errors.New("cannot read process status: unknown format")
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return procStat{}, fmt.Errorf("cannot read process status: %w", err)
	}
	status, err := strconv.Atoi(fields[49])
	if err != nil {
		return procStat{}, fmt.Errorf("cannot read process status: %w", err)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return procStat{}, fmt.Errorf("cannot read process status: %w", err)
	}
	session, err := strconv.Atoi(fields[3])
	if err != nil {
		return procStat{}, fmt.Errorf("cannot read process status: %w", err)
	}
	return procStat{fields[0][0], parent, session, ticks, status}, nil
}

// StartTicks returns when a process was started, in clock ticks since boot. It
// tells a process from a later one with the same number.
func StartTicks(pid int) (uint64, error) {
	st, err := readStat(pid)
	if err != nil {
		return 0, fmt.Errorf("cannot find process %d: %w", pid, err)
	}
	return st.startTicks, nil
}

// openPidfd opens a descriptor for a process that the poller can wait on.
func openPidfd(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot open process %d: %w", pid, err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// awaitExit returns the exit code of a process when it has ended: known tells
// whether anybody could say. It takes the status from wait(2) for a child.
// Otherwise, after a restart, the zombie tells, or, when its parent was
// quicker, the kernel does through the descriptor (Linux 6.15 and later).
func awaitExit(pidfd *os.File, pid int, ticks uint64) (code int, known bool) {
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return unknownCode, false
	}
	code = unknownCode
	err = conn.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(p, 0); n == 0 || err == unix.EINTR {
			return false
		}
		code, known = exitStatus(int(fd), pid, ticks)
		return true
	})
	if err != nil {
		return unknownCode, false
	}
	return code, known
}

func exitStatus(fd, pid int, ticks uint64) (code int, known bool) {
	var ws unix.WaitStatus
	if got, err := unix.Wait4(pid, &ws, unix.WNOHANG, nil); err == nil && got == pid {
		return waitCode(ws), true
	}
	if st, err := readStat(pid); err == nil && st.startTicks == ticks && st.state == 'Z' {
		return waitCode(unix.WaitStatus(st.exitStatus)), true
	}
	if status, ok := pidfdExit(fd); ok {
		return waitCode(unix.WaitStatus(status)), true
	}
	return unknownCode, false
}

func waitCode(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// pidfdInfo is struct pidfd_info of linux/pidfd.h in its first size.
type pidfdInfo struct {
	mask     uint64
	cgroup   uint64
	ids      [11]uint32 // pid, tgid, ppid, then user and group ids
	exitCode int32
}

const (
	pidfdInfoExit = 1 << 3
	pidfdGetInfo  = 3<<30 | 64<<16 | 0xff<<8 | 11 // _IOWR(0xff, 11, struct pidfd_info)
)

func pidfdExit(fd int) (status int32, ok bool) {
	info := pidfdInfo{mask: pidfdInfoExit}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	return info.exitCode, errno == 0 && info.mask&pidfdInfoExit != 0
}
