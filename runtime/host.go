package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/runtime/cgroup"
	"github.com/spearheadcloud/spearhead/runtime/ocispec"
)

const cgroupRoot = cgroup.Root

// An ociRuntime is the program that makes containers.
type ociRuntime struct {
	name    string // "crun" or "runc"
	path    string
	version string
}

// findRuntime chooses the OCI runtime: crun unless runc is asked for, crun is
// not there, or crun would refuse this machine.
func findRuntime(ctx context.Context, asked string) (rt ociRuntime, warnings []string, err error) {
	hybrid := crunRefuses()
	switch asked {
	case "":
		rt, err = probeRuntime(ctx, "crun")
		if err == nil && hybrid == nil {
			break
		}
		crunProblem := errors.Join(err, hybrid)
		if rt, err = probeRuntime(ctx, "runc"); err != nil {
			return rt, nil, errors.Join(crunProblem, err)
		}
		warnings = append(warnings, fmt.Sprintf("containers are made by runc, and start slower: %v", crunProblem))
	case "crun":
		if rt, err = probeRuntime(ctx, asked); err == nil {
			err = hybrid
		}
	case "runc":
		rt, err = probeRuntime(ctx, asked)
	default:
		err = fmt.Errorf("cannot use runtime %q: crun and runc are known", asked)
	}
	if err != nil {
		return rt, nil, err
	}
	return rt, append(warnings, knownFlaws(rt)...), nil
}

func probeRuntime(ctx context.Context, name string) (ociRuntime, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return ociRuntime{}, fmt.Errorf("cannot find %s; install the package of that name: %w", name, err)
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return ociRuntime{}, fmt.Errorf("cannot run %s: %w", name, err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	fields := strings.Fields(first)
	if len(fields) < 3 {
		return ociRuntime{}, fmt.Errorf("cannot learn the version of %s", name)
	}
	return ociRuntime{name, path, fields[2]}, nil
}

// crunRefuses tells why crun would refuse every container here: it cannot work
// with controllers of version 1 and 2 at the same time.
func crunRefuses() error {
	if cgroupVersion() == 2 {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(cgroupRoot, "unified/cgroup.controllers"))
	if err != nil || len(strings.TrimSpace(string(b))) == 0 {
		return nil
	}
	return fmt.Errorf("crun refuses machines with version 1 and version 2 of control groups: "+
		"boot with systemd.unified_cgroup_hierarchy=1, or unmount %s/unified in the agent's mount namespace", cgroupRoot)
}

func cgroupVersion() int {
	var st unix.Statfs_t
	if unix.Statfs(cgroupRoot, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
		return 2
	}
	return 1
}

// knownFlaws names what is wrong with versions that distributions still have.
func knownFlaws(rt ociRuntime) []string {
	switch {
	case rt.name == "runc" && olderThan(rt.version, 1, 2, 8):
		return []string{"runc " + rt.version + " lacks the fixes of CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881: update it to 1.2.8, 1.3.3 or later"}
	case rt.name == "crun" && olderThan(rt.version, 1, 28):
		return []string{"crun " + rt.version + " lacks the fix of CVE-2026-47766: update it to 1.28 or later; until then images are kept from it by a /dev of their container's own"}
	}
	return nil
}

func olderThan(version string, fixed ...int) bool {
	parts := strings.FieldsFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	for i, want := range fixed {
		have := 0
		if i < len(parts) {
			have, _ = strconv.Atoi(parts[i])
		}
		if have != want {
			return have < want
		}
	}
	return false
}

// readHost finds out what the kernel can do.
func readHost() (ocispec.Host, error) {
	h := ocispec.Host{CgroupVersion: cgroupVersion()}
	b, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return h, fmt.Errorf("cannot learn the kernel's capabilities: %w", err)
	}
	last, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return h, fmt.Errorf("cannot learn the kernel's capabilities: %w", err)
	}
	for i, name := range ocispec.KnownCapabilities() {
		// A node that is itself confined cannot give what it has not.
		held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(i), 0, 0, 0)
		if i <= last && err == nil && held == 1 {
			h.Capabilities = append(h.Capabilities, name)
		}
	}
	exists := func(path string) bool {
		_, err := os.Stat(filepath.Join(cgroupRoot, path))
		return err == nil
	}
	h.MissingControllers = missingControllers(h.CgroupVersion)
	if h.CgroupVersion == 1 {
		h.SwapLimit = exists("memory/memory.memsw.limit_in_bytes")
		h.BlkioWeight = exists("blkio/blkio.weight") || exists("blkio/blkio.bfq.weight")
		h.CPURealtime = exists("cpu/cpu.rt_runtime_us")
	} else {
		swaps, err := os.ReadFile("/proc/swaps")
		h.SwapLimit = err == nil && len(swaps) > 0
		// The root has no weight itself. io.cost.qos comes with io.weight; BFQ's shows
		// in every other group.
		bfq, _ := filepath.Glob(filepath.Join(cgroupRoot, "*/io.bfq.weight"))
		h.BlkioWeight = exists("io.cost.qos") || len(bfq) > 0
	}
	h.MaskedPaths, err = filepath.Glob("/sys/devices/system/cpu/cpu*/thermal_throttle")
	if err != nil {
		return h, fmt.Errorf("cannot list paths to hide: %w", err)
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return h, fmt.Errorf("cannot learn the limit of open files: %w", err)
	}
	h.FileLimit = min(files.Max, 1<<20)
	return h, nil
}

// missingControllers lists, by their names of version 2, those that containers
// cannot be limited with.
func missingControllers(version int) (missing []string) {
	listed, _ := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers")) // none, if it is not there
	for name, old := range map[string]string{"memory": "memory", "cpu": "cpu", "cpuset": "cpuset", "pids": "pids", "io": "blkio"} {
		there := slices.Contains(strings.Fields(string(listed)), name)
		if version == 1 {
			_, err := os.Stat(filepath.Join(cgroupRoot, old))
			there = err == nil
		}
		if !there {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func seccompInKernel() bool {
	b, err := os.ReadFile("/proc/self/status")
	return err == nil && strings.Contains(string(b), "\nSeccomp:")
}
