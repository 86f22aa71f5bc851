package iod

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// familyRounds bounds the hunt for a process that forks as fast as it is killed.
const familyRounds = 100

// killFamily kills a process and all that it has started: what descends from
// it, and what lost its parent but is in its session, which OCI runtimes make
// new for each exec. It goes on until there is nobody new. first is the first
// process of the container, which orphans get as their parent.
func killFamily(leader Process, first int) {
	session := sessionOf(leader)
	killed := map[Process]bool{}
	for range familyRounds {
		before := len(killed)
		for _, p := range family(leader, first, session) {
			if !killed[p] {
				killed[p] = true
				p.kill()
			}
		}
		if len(killed) == before {
			break
		}
	}
}

// sessionOf returns the session that a process was given, 0 for none.
func sessionOf(p Process) int {
	st, err := readStat(p.Pid)
	own, err2 := unix.Getsid(0)
	if err != nil || err2 != nil || st.startTicks != p.StartTicks || st.session == own {
		return 0
	}
	return st.session
}

// family lists living processes: leader, its descendants, and those descendants
// of first that are in a session.
func family(leader Process, first, session int) (list []Process) {
	seen := map[int]bool{}
	var visit func(pid int, all bool)
	visit = func(pid int, all bool) {
		st, err := readStat(pid)
		if err != nil || seen[pid] {
			return
		}
		seen[pid] = true
		if st.state != 'Z' && (all || session > 0 && st.session == session) {
			list = append(list, Process{Pid: pid, StartTicks: st.startTicks})
		}
		for _, child := range childrenOf(pid) {
			visit(child, all)
		}
	}
	if ticks, err := StartTicks(leader.Pid); err == nil && ticks == leader.StartTicks {
		visit(leader.Pid, true)
	}
	if first > 0 {
		visit(first, false)
	}
	return list
}

func childrenOf(pid int) (pids []int) {
	lists, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil {
		return nil
	}
	for _, path := range lists {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the thread is gone
		}
		for field := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// kill kills this very process, never one that has got its number since.
func (p Process) kill() {
	pidfd, err := unix.PidfdOpen(p.Pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(pidfd)
	if ticks, err := StartTicks(p.Pid); err == nil && ticks == p.StartTicks {
		_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0) // it may be gone
	}
}
