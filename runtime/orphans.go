package runtime

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// adoptOrphans has the kernel give this process what a supervisor leaves that
// it started and that was killed. Nobody else may reap there: PID 1 of a node
// that is itself a container often does not, and a zombie of an exec keeps its
// container's process namespace from ending.
func adoptOrphans() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot become a child subreaper: %w", err)
	}
	return nil
}

// reapOrphans collects the dead whose supervisor is gone. Left alone are:
//   - children of this process's own: they are in its session, and what a
//     supervisor makes is not;
//   - the supervisor, which has somebody who waits for it;
//   - those whose pidfd is held: the next supervisor has yet to learn from the
//     zombie how they ended, and then lets go of the pidfd.
//
// It is called between two messages of a supervisor. allRead says that there
// are no more of it; otherwise orphans of one that has died just now wait,
// because the message that one of them is to be held may still come.
func (g *guardian) reapOrphans(allRead bool) {
	zombies := g.deadOfOtherSessions()
	if len(zombies) == 0 || !allRead && g.iod != 0 && !runs(g.iod) {
		return
	}
	awaited := g.heldPids()
	for _, pid := range zombies {
		if !awaited[pid] {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

// deadOfOtherSessions looks only at children of the main thread: the kernel
// gives it those that lost their parents.
func (g *guardian) deadOfOtherSessions() (pids []int) {
	own, err := unix.Getsid(0)
	if err != nil {
		return nil
	}
	list, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	if err != nil {
		return nil
	}
	for _, field := range strings.Fields(string(list)) {
		pid, err := strconv.Atoi(field)
		if err != nil || pid == g.iod {
			continue
		}
		if state, session := stateOf(pid); state == "Z" && session != strconv.Itoa(own) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// stateOf returns two fields of /proc/PID/stat; "" if there is no such process.
func stateOf(pid int) (state, session string) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", ""
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 4 {
		return "", ""
	}
	return fields[0], fields[3]
}

func runs(pid int) bool {
	state, _ := stateOf(pid)
	return state != "" && state != "Z"
}

func isPidfd(key string) bool { return strings.HasSuffix(key, "/"+iod.PidfdKey) }

// heldPids are the processes whose pidfds are held.
func (g *guardian) heldPids() map[int]bool {
	pids := map[int]bool{}
	for key, fd := range g.held {
		if !isPidfd(key) {
			continue
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(info)) {
			if value, ok := strings.CutPrefix(line, "Pid:"); ok {
				pid, _ := strconv.Atoi(strings.TrimSpace(value))
				pids[pid] = true
			}
		}
	}
	return pids
}
