package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// process is one of an engine's own, and what it is: head, agent, iod, dockerd and so on.
type process struct {
	pid  int
	name string
}

// processesOfProgram are those that run the program; its first argument names them.
func processesOfProgram(binary string) ([]process, error) {
	return selectProcesses(func(pid int) string {
		if program, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); program != binary {
			return ""
		}
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if words := strings.Split(string(line), "\x00"); len(words) > 1 {
			return words[1]
		}
		return ""
	})
}

// processesBeside are docker's processes in the mount namespace of one of them.
func processesBeside(member int) ([]process, error) {
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", member))
	if err != nil {
		return nil, err
	}
	return selectProcesses(func(pid int) string {
		if where, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid)); where != namespace {
			return ""
		}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		name := strings.TrimSpace(string(text))
		if name == "dockerd" || name == "docker-proxy" || strings.HasPrefix(name, "containerd") {
			return name
		}
		return ""
	})
}

// selectProcesses lists the processes that the function has a name for.
func selectProcesses(name func(pid int) string) ([]process, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []process
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			return nil, err
		}
		if name := name(pid); name != "" {
			found = append(found, process{pid, name})
		}
	}
	if len(found) == 0 {
		return nil, errors.New("there are no processes of the engine")
	}
	return found, nil
}

// proportional is the processes' memory in KiB (PSS): pages that several share are divided
// among them. It reads what the kernel has summed up; a process that has gone counts as 0.
func proportional(processes []process) (kib float64, err error) {
	return sumField(processes, "smaps_rollup", "Pss:")
}

// resident is the memory in KiB (RSS) of those of the processes that have the name.
func resident(processes []process, name string) (kib float64, err error) {
	named := slices.DeleteFunc(slices.Clone(processes), func(p process) bool { return p.name != name })
	return sumField(named, "status", "VmRSS:")
}

// sumField adds up a line "FIELD N kB" of a file that each process has in /proc.
func sumField(processes []process, file, field string) (sum float64, err error) {
	for _, p := range processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.pid, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) == 3 && words[0] == field {
				kib, err := strconv.ParseFloat(words[1], 64)
				if err != nil {
					return 0, err
				}
				sum += kib
			}
		}
	}
	return sum, nil
}
