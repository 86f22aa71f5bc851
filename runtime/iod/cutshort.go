package iod

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// commandLimit is how long an OCI runtime may go on with what a supervisor
// asked of it that has died since.
const commandLimit = 10 * time.Second

// lookAgain is how long one is waited for before all are looked at again: it may
// be what a runtime has made, which no event tells of when it runs its own
// program.
const lookAgain = 50 * time.Millisecond

// namelessLimit is how long a process may have no arguments, as one has for a
// moment when it becomes another program: crun does, to run from a safe copy.
const namelessLimit = time.Second

// endStarts brings the starts to an end that an earlier supervisor began and
// did not record as done. First the OCI runtimes that work on them end: they
// outlive who began them, and nobody knows what they are going to leave. Then
//   - a container is unmade; it waits for its release, so nothing of it has run;
//   - a process in a container is taken over, because it runs as soon as it
//     exists and must not run twice;
//   - what cannot be taken over is killed, or was never made.
func (s *supervisor) endStarts(units []*unit) {
	if len(units) == 0 {
		return
	}
	s.awaitCommands(units)
	var undone []*unit
	for _, u := range units {
		switch {
		case u.set.Container == "":
			u.logger.Warn("interrupted start is undone")
			s.killRuntime(u.rec.Command, u.id)
			u.clearRun()
		case !u.takeUp():
			undone = append(undone, u)
		}
	}
	s.killStrays(undone)
	for _, u := range undone {
		u.logger.Warn("interrupted start is undone")
		u.clearRun()
	}
}

// awaitCommands returns when no OCI runtime works on one of the units any more.
func (s *supervisor) awaitCommands(units []*unit) {
	files, since := map[string]bool{}, units[0].rec.Since
	for _, u := range units {
		files[u.pidFile()] = true
		since = min(since, u.rec.Since)
	}
	began := time.Now()
	deadline := began.Add(commandLimit)
	for s.ctx.Err() == nil {
		working, nameless := runtimesOf(files, since)
		if len(working) == 0 {
			if len(nameless) == 0 || time.Since(began) > namelessLimit {
				return
			}
			nameless[0].awaitEnd(time.Now().Add(lookAgain))
			continue
		}
		if time.Now().After(deadline) {
			for _, p := range working {
				s.cfg.Logger.Warn("OCI runtime of an interrupted start is killed", "pid", p.Pid)
				killFamily(p, 0)
			}
			return
		}
		working[0].awaitEnd(time.Now().Add(lookAgain))
	}
}

// runtimesOf lists the OCI runtimes that were told one of these pid files, but
// not what they have made and named there: until it runs its own program, that
// has the same arguments. Their children are left out, too, as long as they work.
// nameless are those without arguments that were started since then and are none
// of the kernel's, which are children of 2.
func runtimesOf(files map[string]bool, since uint64) (found, nameless []Process) {
	told := map[int]procStat{}
	for _, pid := range allPids() {
		file, none := argumentOf(pid, files)
		if made, err := readPid(file); !none && (file == "" || err == nil && made == pid) {
			continue
		}
		st, err := readStat(pid)
		switch {
		case err != nil:
		case !none:
			told[pid] = st
		case st.state != 'Z' && st.state != 'X' && st.parent != 2 && st.startTicks >= since:
			nameless = append(nameless, Process{Pid: pid, StartTicks: st.startTicks})
		}
	}
	for pid, st := range told {
		if _, works := told[st.parent]; !works {
			found = append(found, Process{Pid: pid, StartTicks: st.startTicks})
		}
	}
	return found, nameless
}

// argumentOf returns that of args which a process has among its arguments, ""
// for none, and whether it has no arguments at all.
func argumentOf(pid int, args map[string]bool) (arg string, none bool) {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return "", false // it has ended
	}
	for arg := range bytes.SplitSeq(line, []byte{0}) {
		if args[string(arg)] {
			return string(arg), false
		}
	}
	return "", len(line) == 0
}

// awaitEnd returns when the process has ended, or at the deadline.
func (p Process) awaitEnd(deadline time.Time) {
	pidfd, err := unix.PidfdOpen(p.Pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(pidfd)
	if ticks, err := StartTicks(p.Pid); err != nil || ticks != p.StartTicks {
		return
	}
	poll := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for left := time.Until(deadline); left > 0; left = time.Until(deadline) {
		n, err := unix.Poll(poll, int(left.Milliseconds())+1)
		if n > 0 || err != nil && err != unix.EINTR {
			return
		}
	}
}

// takeUp goes on with a process in a container that an earlier supervisor had
// made and not yet recorded. One that has ended meanwhile is told as ended, in a
// way that nobody has seen. It returns false where there is none, or its
// terminal went with the supervisor.
func (u *unit) takeUp() bool {
	if u.set.Tty || loggedError(u.logFile()) != "" {
		return false
	}
	pid, err := readPid(u.pidFile())
	if err != nil {
		return false
	}
	u.rec.Pid, u.rec.StartedAt = pid, time.Now().UTC()
	if p, ok := u.made(pid); ok {
		u.rec.StartTicks = p.StartTicks
	}
	u.logger.Warn("interrupted start is carried on", "pid", pid)
	if err := u.writeRecord(); err != nil {
		u.logger.Warn("start is not recorded", "err", err)
	}
	u.takeOver(stdio{}, nil)
	return true
}

// made returns the living process pid if it can be the one that this start has
// made: it is in the container, and not older than the start.
func (u *unit) made(pid int) (Process, bool) {
	st, err := readStat(pid)
	space := processSpace(u.first())
	if err != nil || st.state == 'Z' || st.startTicks < u.rec.Since || space == "" || processSpace(pid) != space {
		return Process{}, false
	}
	return Process{Pid: pid, StartTicks: st.startTicks}, true
}

// undo ends what a start has made that fails, after the OCI runtime has ended.
func (u *unit) undo(command []string) {
	if u.set.Container == "" {
		u.sup.killRuntime(command, u.id)
		return
	}
	if pid, err := readPid(u.pidFile()); err == nil {
		if p, ok := u.made(pid); ok {
			killFamily(p, u.first())
		}
	}
}

// killStrays kills what starts of these units have left in a container and
// nobody supervises: what came into it from outside after the first of them
// began. A container with the node's process namespace has no outside: of it
// only what the OCI runtime has named is found.
func (s *supervisor) killStrays(units []*unit) {
	since := map[string]uint64{} // process namespace → beginning of the first start in it
	first := map[string]int{}    // process namespace → first process of the container
	for _, u := range units {
		u.undo(u.rec.Command)
		pid := u.first()
		space := processSpace(pid)
		if began, ok := since[space]; !ok || u.rec.Since < began {
			since[space], first[space] = u.rec.Since, pid
		}
	}
	delete(since, "")
	delete(since, processSpace(os.Getpid()))
	if len(since) == 0 {
		return
	}
	known := s.pids()
	for _, pid := range allPids() {
		space := processSpace(pid)
		began, ok := since[space]
		if !ok || known[pid] {
			continue
		}
		st, err := readStat(pid)
		if err == nil && st.state != 'Z' && st.startTicks >= began && processSpace(st.parent) != space {
			killFamily(Process{Pid: pid, StartTicks: st.startTicks}, first[space])
		}
	}
}

// pids are the processes that are supervised.
func (s *supervisor) pids() map[int]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	pids := map[int]bool{}
	for _, u := range s.units {
		if st := u.status(); st.Process != nil {
			pids[st.Process.Pid] = true
		}
	}
	return pids
}

// process is what the unit's record says of its run.
func (u *unit) process() Process {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.rec.Process
}

// first is the first process of the container that u is in; 0 if that does not
// run.
func (u *unit) first() int {
	c, err := u.sup.unit(u.set.Container)
	if err != nil {
		return 0
	}
	if st := c.status(); st.Process != nil {
		return st.Process.Pid
	}
	return 0
}

// processSpace names the process namespace that a process is in; "" if there is
// no such process.
func processSpace(pid int) string {
	name, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/pid")
	if err != nil {
		return ""
	}
	return name
}

func allPids() (pids []int) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil
	}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// clearRun removes what a start has left, so that there may be another one. The
// settings of an exec are there, too, and still hold.
func (u *unit) clearRun() {
	err := os.RemoveAll(u.runDir)
	if u.stateDir == "" {
		err = errors.Join(err, os.MkdirAll(u.runDir, 0o700), writeQuick(filepath.Join(u.runDir, SettingsName), u.set))
	}
	if err != nil {
		u.logger.Warn("leftovers of a start stay", "err", err)
	}
	u.rec = record{}
}

// ticksNow is the time in which the kernel tells when processes were started:
// hundredths of a second since boot.
func ticksNow() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0 // then any process may be younger
	}
	return uint64(now.Sec)*100 + uint64(now.Nsec)/1e7
}
