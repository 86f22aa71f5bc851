package ocispec

import (
	"maps"
	"path"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/spearheadcloud/spearhead/model"
)

// SeccompAnnotation makes crun load a compiled filter in place of a profile.
const SeccompAnnotation = "run.oci.seccomp_bpf_data"

// Build makes the specification of a run. An error is of KindInvalid and
// names what cannot be done.
func Build(in Input) (*specs.Spec, error) {
	if err := check(in); err != nil {
		return nil, err
	}
	process, err := process(in)
	if err != nil {
		return nil, err
	}
	mounts, err := mounts(in)
	if err != nil {
		return nil, err
	}
	linux, err := linux(in)
	if err != nil {
		return nil, err
	}
	s := &specs.Spec{
		Version: "1.0.2",
		Process: process,
		Root:    &specs.Root{Path: in.Rootfs, Readonly: in.Spec.ReadonlyRootfs},
		Mounts:  mounts,
		Linux:   linux,
	}
	if in.Spec.UTSMode != "host" {
		s.Hostname, s.Domainname = in.Spec.Hostname, "" // the domain is set by sysctl: older runtimes do not know the field
	}
	s.Annotations = maps.Clone(in.Spec.Annotations)
	if in.SeccompProgram != "" {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[SeccompAnnotation] = in.SeccompProgram
	} else {
		s.Linux.Seccomp = in.Seccomp
	}
	return s, nil
}

func check(in Input) error {
	spec := in.Spec
	if len(spec.Args()) == 0 {
		return model.Errorf(model.KindInvalid, "No command specified")
	}
	if !path.IsAbs(in.Rootfs) {
		return model.Errorf(model.KindInvalid, "the container's root has no absolute path")
	}
	if cwd := workingDir(spec.WorkingDir); cwd == "/proc" || strings.HasPrefix(cwd, "/proc/") {
		// CVE-2024-21626: a leaked descriptor of the node would be entered by it.
		return model.Errorf(model.KindInvalid, "working directory %q is refused: it may not be in /proc", spec.WorkingDir)
	}
	if mode := spec.UsernsMode; mode != "" && mode != "host" {
		return model.Errorf(model.KindInvalid, "invalid UsernsMode: %.40q: the node has no user namespaces; ask for none, or for \"host\"", mode)
	}
	if spec.Umask != nil && *spec.Umask > 0o777 {
		return model.Errorf(model.KindInvalid, "invalid Umask: %#o", *spec.Umask)
	}
	if usesInit(spec) && in.Init == "" {
		return model.Errorf(model.KindInvalid, "cannot run under an init process: the node has none; ask for no Init, or the operator to install the package tini on the node")
	}
	if err := checkAnnotations(spec.Annotations); err != nil {
		return err
	}
	for field, mode := range map[string]string{"UTSMode": spec.UTSMode, "CgroupnsMode": spec.CgroupnsMode} {
		if mode != "" && mode != "host" && mode != "private" {
			return model.Errorf(model.KindInvalid, "invalid %s: %q", field, mode)
		}
	}
	return nil
}

// usesInit: with processes of others in its namespace a container has an init
// process already, and Docker adds none.
func usesInit(spec *model.ContainerSpec) bool {
	return spec.Init && (spec.PidMode == "" || spec.PidMode == "private")
}

// initTarget is where Docker puts the init process in a container.
const initTarget = "/sbin/docker-init"

// commandLine is what the first process gets.
func commandLine(spec *model.ContainerSpec) []string {
	if usesInit(spec) {
		return append([]string{initTarget, "--"}, spec.Args()...)
	}
	return spec.Args()
}

// checkAnnotations refuses what steers an OCI runtime. crun has hooks, other
// handlers and compiled seccomp filters there.
func checkAnnotations(annotations map[string]string) error {
	for name := range annotations {
		for _, steers := range []string{"run.oci.", "org.systemd.", "org.criu.", "io.crun", "krun.", "module.wasm."} {
			if strings.HasPrefix(strings.ToLower(name), steers) {
				return model.Errorf(model.KindInvalid, "invalid annotation %.100q: %s… is the OCI runtime's own", name, steers)
			}
		}
		if name == "" {
			return model.Errorf(model.KindInvalid, "invalid annotation: it has no name")
		}
	}
	return nil
}

func workingDir(dir string) string {
	return path.Join("/", dir)
}

func process(in Input) (*specs.Process, error) {
	caps, err := Capabilities(in.Spec, in.Host.Capabilities)
	if err != nil {
		return nil, err
	}
	limits, err := rlimits(in.Spec.Limits.Ulimits, in.Host.FileLimit)
	if err != nil {
		return nil, err
	}
	oom := in.Spec.OomScoreAdj
	return &specs.Process{
		Terminal:        in.Spec.Tty,
		ConsoleSize:     consoleSize(in.Spec),
		User:            ProcessUser(in.User, in.Spec.Umask),
		Args:            commandLine(in.Spec),
		Env:             environment(in),
		Cwd:             workingDir(in.Spec.WorkingDir),
		Capabilities:    ProcessCapabilities(caps, in.User.UID),
		Rlimits:         limits,
		NoNewPrivileges: in.Spec.NoNewPrivileges,
		OOMScoreAdj:     &oom,
	}, nil
}

func consoleSize(spec *model.ContainerSpec) *specs.Box {
	if !spec.Tty || spec.ConsoleSize == nil {
		return nil
	}
	return &specs.Box{Height: uint(spec.ConsoleSize.Rows), Width: uint(spec.ConsoleSize.Columns)}
}

// ProcessUser is u in the specification's form. A nil umask is the usual 0022.
func ProcessUser(u User, umask *uint32) specs.User {
	mask := uint32(0o022)
	if umask != nil {
		mask = *umask
	}
	return specs.User{UID: u.UID, GID: u.GID, AdditionalGids: u.Groups, Umask: &mask}
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is Docker's: PATH, HOSTNAME and, with a terminal, TERM come
// first and can be overridden; HOME is the user's unless it is set.
func environment(in Input) []string {
	env := []string{defaultPath, "HOSTNAME=" + in.Spec.Hostname}
	if in.Spec.Tty {
		env = append(env, "TERM=xterm")
	}
	env = Environment(env, in.Spec.Env)
	return WithHome(env, in.User.Home)
}

// Environment returns base with the variables of more set, each once. A name
// without = is removed, as Docker does.
func Environment(base, more []string) []string {
	out := append([]string(nil), base...)
	for _, v := range more {
		name, _, set := strings.Cut(v, "=")
		at := indexOf(out, name)
		switch {
		case at >= 0 && set:
			out[at] = v
		case at >= 0:
			out = append(out[:at:at], out[at+1:]...)
		case set:
			out = append(out, v)
		}
	}
	return out
}

// WithHome returns env with HOME in it: home, or / when that is "".
func WithHome(env []string, home string) []string {
	if at := indexOf(env, "HOME"); at >= 0 && env[at] != "HOME=" {
		return env
	}
	if home == "" {
		home = "/"
	}
	return Environment(env, []string{"HOME=" + home})
}

func indexOf(env []string, name string) int {
	for i, v := range env {
		if n, _, _ := strings.Cut(v, "="); n == name {
			return i
		}
	}
	return -1
}

func rlimits(ulimits []model.Ulimit, fileLimit uint64) ([]specs.POSIXRlimit, error) {
	var out []specs.POSIXRlimit
	files := false
	for _, u := range ulimits {
		name := strings.ToLower(u.Name)
		if !knownUlimit(name) {
			return nil, model.Errorf(model.KindInvalid, "invalid ulimit type: %s", u.Name)
		}
		if u.Hard >= 0 && (u.Soft < 0 || u.Soft > u.Hard) {
			return nil, model.Errorf(model.KindInvalid, "ulimit soft limit must be less than or equal to hard limit: %d > %d", u.Soft, u.Hard)
		}
		files = files || name == "nofile"
		out = append(out, specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(name), Hard: uint64(u.Hard), Soft: uint64(u.Soft)})
	}
	if !files && fileLimit > 0 {
		out = append(out, specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Hard: fileLimit, Soft: fileLimit})
	}
	return out, nil
}

func knownUlimit(name string) bool {
	switch name {
	case "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
		"rtprio", "rttime", "sigpending", "stack":
		return true
	}
	return false
}
