package iod

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
)

// adoptAll takes over what an earlier supervisor left: registered containers,
// exits that nobody acknowledged, and what runs. held are the descriptors that
// came back from the second holder.
func (s *supervisor) adoptAll(held map[string]*os.File) {
	s.keeper.inherit(held)
	s.load(filepath.Join(s.cfg.StateDir, ContainerName), false)
	s.load(filepath.Join(s.cfg.RunDir, UnitsName), true)
	slices.SortFunc(s.exits, func(a, b Exit) int { return a.FinishedAt.Compare(b.FinishedAt) })
	var cutShort []*unit
	for _, u := range s.units {
		if u.adopt(held) {
			cutShort = append(cutShort, u)
		}
	}
	s.endStarts(cutShort)
	for _, u := range slices.Collect(maps.Values(s.units)) { // endBound takes them out
		if u.set.Bound {
			s.work.Go(func() { s.endBound(u) })
		}
	}
	for _, f := range held { // what belongs to nothing any more
		f.Close()
	}
}

func (s *supervisor) load(dir string, execs bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.cfg.Logger.Error("known containers are not read", "err", err)
	}
	for _, e := range entries {
		var set Settings
		err := atomicfile.ReadJSON(filepath.Join(dir, e.Name(), SettingsName), &set)
		if err == nil && CheckName(e.Name()) == nil && set.check() == nil && execs == (set.Container != "") {
			u := s.newUnit(e.Name(), set)
			s.units[u.id] = u
			s.loadExits(u)
		} else if execs && errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(e.Name(), probePrefix) {
			os.RemoveAll(filepath.Join(dir, e.Name())) // its registration was cut short
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.cfg.Logger.Error("settings are not readable", "container", e.Name(), "err", err)
		}
	}
}

func (s *supervisor) loadExits(u *unit) {
	paths, _ := filepath.Glob(filepath.Join(u.stateDir, "exit-*.json"))
	if u.stateDir == "" {
		paths = []string{exitPath(u, "")}
	}
	for _, path := range paths {
		var e Exit
		if err := atomicfile.ReadJSON(path, &e); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				u.logger.Error("exit record is not readable", "err", err)
			}
			continue
		}
		u.last, u.endedAt = &e, e.FinishedAt
		if u.stateDir != "" {
			s.exits = append(s.exits, e)
		}
	}
}

// adopt goes on with the unit's run, if it had one. cutShort tells that a start
// was interrupted, and nobody was told that it runs.
func (u *unit) adopt(held map[string]*os.File) (cutShort bool) {
	take := func(what string) *os.File {
		f := held[u.key(what)]
		delete(held, u.key(what))
		return f
	}
	s := stdio{in: take("stdin"), out: take("stdout"), err: take("stderr"), pty: take("pty")}
	pidfd := take(PidfdKey)
	recorded := u.readRecord()
	if !recorded || u.last != nil && u.last.Run == u.rec.Run {
		s.close()
		if pidfd != nil {
			pidfd.Close()
		}
		if recorded && u.stateDir != "" {
			os.RemoveAll(u.runDir)
		}
		return false
	}
	if u.rec.Pid == 0 { // streams and pidfd are lent after the process is recorded
		s.close()
		if pidfd != nil {
			pidfd.Close()
		}
		return true
	}
	u.takeOver(s, pidfd)
	return false
}

func (u *unit) readRecord() bool {
	err := atomicfile.ReadJSON(filepath.Join(u.runDir, "run.json"), &u.rec)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		u.logger.Error("record of a run is not readable", "err", err)
	}
	return err == nil
}

// takeOver supervises a process that another supervisor started, or tells that
// it is gone.
func (u *unit) takeOver(s stdio, pidfd *os.File) {
	ticks, err := StartTicks(u.rec.Pid)
	alive := err == nil && ticks == u.rec.StartTicks && u.rec.Boot == u.sup.boot
	if pidfd == nil && alive {
		if pidfd, err = openPidfd(u.rec.Pid); err != nil {
			u.logger.Warn("process is not opened", "err", err)
		}
	}
	if pidfd == nil {
		pidfd, err = os.Open(os.DevNull) // its end is unknown: awaitExit says so
		if err != nil {
			u.logger.Error("ended run is not finished", "err", err)
			return
		}
	}
	u.pidfd = pidfd
	u.sup.reaper.claim(u.rec.Pid, 1)
	if !u.set.Tty {
		u.reopen(&s)
	} else if s.pty == nil {
		u.logger.Warn("terminal is lost: nobody held it")
	}
	u.supervise(s)
	if alive && u.set.Container == "" && !u.rec.Released {
		u.letGo(true)
	}
}

// reopen opens by their names the FIFOs that nobody held.
func (u *unit) reopen(s *stdio) {
	if s.out == nil || s.err == nil {
		again := stdio{}
		if err := again.openOutputs(u.runDir); err != nil {
			u.logger.Error("output is lost", "err", err)
		}
		if s.out == nil {
			s.out, again.out = again.out, nil
		}
		if s.err == nil {
			s.err, again.err = again.err, nil
		}
		again.close()
	}
	if u.rec.StdinEnded && s.in != nil {
		s.in.Close()
		s.in = nil
	}
	if u.set.Stdin && s.in == nil && !u.rec.StdinEnded {
		in, err := openFlags(filepath.Join(u.runDir, fifoNames[0]), unix.O_WRONLY|unix.O_NONBLOCK)
		if err != nil && !strings.Contains(err.Error(), unix.ENXIO.Error()) {
			u.logger.Warn("input is lost", "err", err)
		}
		s.in = in
	}
}
