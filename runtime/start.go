package runtime

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/iod"
	"github.com/spearheadcloud/spearhead/runtime/ocispec"
)

// Start runs a registered container. Starting the same Run again returns the
// same process, with Pid 0 if it has ended; while another run lasts it is
// KindConflict. A command that cannot be run is KindInvalid, in Docker's words.
func (r *Runtime) Start(ctx context.Context, req StartRequest) (Process, error) {
	if err := checkStart(req); err != nil {
		return Process{}, err
	}
	profile, spec, err := r.makeSpec(req)
	if err != nil {
		return Process{}, err
	}
	if err := r.writeBundle(req.ID, spec, recordOf(req, spec.Linux.CgroupsPath)); err != nil {
		return Process{}, fmt.Errorf("cannot start container: %w", err)
	}
	if err := failpoint.Hit("runtime.start.bundled"); err != nil {
		return Process{}, err
	}
	r.cgroups.RLock()
	defer r.made()
	if req.Spec.Limits.CPURealtimeRuntime > 0 {
		r.realtime.Lock() // until the group has what is made free for it
		defer r.realtime.Unlock()
		if err := r.groupAt(spec.Linux.CgroupsPath).GrantRealtime(&req.Spec.Limits); err != nil {
			return Process{}, err
		}
	}
	var p iod.Process
	err = r.ask(ctx, "POST", unitPath(req.ID, "start"), iod.StartRequest{
		Run: req.Run, Command: r.command(), Bundle: r.bundle(req.ID),
		StartFifo: r.startFifo(req.ID), OOMFile: r.oomFile(spec.Linux.CgroupsPath),
	}, &p)
	if err != nil {
		return Process{}, startFailure(err, spec.Process.Args[0])
	}
	if err := failpoint.Hit("runtime.start.begun"); err != nil {
		return Process{}, err
	}
	if profile != nil {
		r.harvest(req.ID, profile)
	}
	return processOf(p), nil
}

func checkStart(req StartRequest) error {
	if err := errors.Join(iod.CheckName(req.ID), iod.CheckName(req.AccountID), iod.CheckName(req.Run)); err != nil {
		return model.WrapError(model.KindInvalid, err, "invalid start request")
	}
	if req.Spec == nil {
		return model.Errorf(model.KindInvalid, "invalid start request: it has no specification")
	}
	return nil
}

// makeSpec makes the OCI specification. profile is what the runtime is going
// to compile; nil if there is a program of it already, or none.
func (r *Runtime) makeSpec(req StartRequest) (profile *specs.LinuxSeccomp, spec *specs.Spec, err error) {
	root, err := os.OpenFile(req.Rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the container's root: %w", err)
	}
	defer root.Close()
	user, err := resolveUser(root, req.Spec.User, req.Spec.GroupAdd)
	if err != nil {
		return nil, nil, err
	}
	if err := makeWorkingDir(root, req.Spec.WorkingDir); err != nil {
		return nil, nil, err
	}
	if err := makePlaceholders(root); err != nil {
		return nil, nil, err
	}
	if err := makeSources(req.Spec.Mounts); err != nil {
		return nil, nil, err
	}
	devices, err := findDevices(req.Spec)
	if err != nil {
		return nil, nil, err
	}
	disks, err := findBlockDevices(&req.Spec.Limits)
	if err != nil {
		return nil, nil, err
	}
	in := ocispec.Input{
		ID: req.ID, Spec: req.Spec, Rootfs: req.Rootfs, Netns: req.Netns,
		Hostname: req.Hostname, Hosts: req.Hosts, ResolvConf: req.ResolvConf,
		PidNamespace: namespacePath(req.JoinPid["pid"], "pid"), IpcNamespace: namespacePath(req.JoinPid["ipc"], "ipc"),
		User: user, Host: r.host, Devices: devices, BlockDevices: disks, Init: r.init.path,
		CgroupsPath: path.Join("/", r.cfg.CgroupParent, req.AccountID, req.ID),
	}
	spec, err = ocispec.Build(in)
	if err != nil {
		return nil, nil, err
	}
	profile, err = r.applySeccomp(req.Spec, spec)
	return profile, spec, err
}

func namespacePath(pid int, name string) string {
	if pid <= 0 {
		return ""
	}
	return fmt.Sprintf("/proc/%d/ns/%s", pid, name)
}

// makeWorkingDir makes a missing working directory, as Docker does, without
// following a link out of the root.
func makeWorkingDir(root *os.File, dir string) error {
	dir = path.Join("/", dir)
	if dir == "/" || dir == "/proc" || strings.HasPrefix(dir, "/proc/") { // Build refuses the latter
		return nil
	}
	if h, err := pathrs.OpenatInRoot(root, dir); err == nil {
		return h.Close()
	}
	h, err := pathrs.MkdirAllHandle(root, dir, 0o755)
	if err != nil {
		return model.WrapError(model.KindInvalid, err, "cannot create the working directory %q in the image", dir)
	}
	return h.Close()
}

// makeSources makes the missing sources of -v. They are paths of the node that
// only trusted accounts may name.
func makeSources(mounts []model.Mount) error {
	for _, m := range mounts {
		if m.Type != "bind" {
			continue
		}
		_, err := os.Stat(m.Source)
		if errors.Is(err, os.ErrNotExist) && m.CreateSource && path.IsAbs(m.Source) {
			err = os.MkdirAll(m.Source, 0o755)
		}
		if errors.Is(err, os.ErrNotExist) {
			return model.Errorf(model.KindInvalid, "invalid mount config for type \"bind\": bind source path does not exist: %s", m.Source)
		}
		if err != nil {
			return model.WrapError(model.KindInvalid, err, "invalid mount config for type \"bind\": the source of %s is not usable", m.Target)
		}
	}
	return nil
}

// writeBundle writes the bundle, and beside it what else is to be known of the
// run. It needs no fsync: neither outlives the kernel.
func (r *Runtime) writeBundle(id string, spec *specs.Spec, record runRecord) error {
	dir := r.bundle(id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, v := range map[string]any{"config.json": spec, recordName: record} {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// startFifo is where a container that crun has created waits. Writing to it is
// what crun start does, without another process.
func (r *Runtime) startFifo(id string) string {
	if r.oci.name != "crun" {
		return ""
	}
	return filepath.Join(r.ociRoot(), id, "exec.fifo")
}

func (r *Runtime) oomFile(cgroup string) string {
	if r.host.CgroupVersion == 2 {
		return filepath.Join(cgroupRoot, cgroup, "memory.events")
	}
	return filepath.Join(cgroupRoot, "memory", cgroup, "memory.oom_control")
}

// startFailure tells, in words from which Docker's client makes exit codes 126
// and 127, why a command was not run.
func startFailure(err error, command string) error {
	var refused *refusal
	if !errors.As(err, &refused) || refused.status != http.StatusUnprocessableEntity {
		return failure(err, "start the container")
	}
	text := strings.ToLower(refused.text)
	const prefix = "failed to create task for container: OCI runtime create failed: unable to start container process: "
	target := mountTarget(refused.text)
	switch {
	case target != "" && strings.Contains(text, "not a directory"):
		return model.WrapError(model.KindInvalid, err,
			prefix+"error mounting at %q: not a directory: Are you trying to mount a directory onto a file (or vice-versa)?", target)
	case strings.Contains(text, "executable file") && strings.Contains(text, "permission denied"),
		strings.Contains(text, "open executable") && strings.Contains(text, "permission denied"),
		strings.Contains(text, "exec:") && strings.Contains(text, "permission denied"):
		return model.WrapError(model.KindInvalid, err, prefix+"exec: %q: permission denied", command)
	case strings.Contains(text, "open executable") && strings.Contains(text, "operation not permitted"),
		strings.Contains(text, "exec:") && strings.Contains(text, "is a directory"):
		// crun's words for what is no regular file, and those of newer runc.
		return model.WrapError(model.KindInvalid, err, prefix+"exec: %q: is a directory", command)
	case strings.Contains(text, "oom-killed"):
		return model.WrapError(model.KindInvalid, err, prefix+"container init was OOM-killed (memory limit too low?)")
	case strings.Contains(text, "executable file"), strings.Contains(text, "exec:") && strings.Contains(text, "no such file"):
		if strings.Contains(command, "/") {
			return model.WrapError(model.KindInvalid, err, prefix+"exec: %q: stat %s: no such file or directory", command, command)
		}
		return model.WrapError(model.KindInvalid, err, prefix+"exec: %q: executable file not found in $PATH", command)
	}
	return model.WrapError(model.KindInternal, err, "failed to create task for container: the OCI runtime failed; the operator finds the cause in the node's log")
}

// mountWords are what crun and runc say of a mount that has failed: where in
// the container it was to be.
var mountWords = regexp.MustCompile("mount `.*` to `([^`]*)`|error mounting .* to rootfs at \"([^\"]*)\"")

// mountTarget finds the place in the container of the mount that a start has
// failed over; "" if it was not a mount.
func mountTarget(text string) string {
	found := mountWords.FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	return path.Join("/", cmp.Or(found[1], found[2]))
}
