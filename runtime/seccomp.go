package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"sync"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/ocispec"
)

// programs are compiled seccomp filters. Compiling one is the dearest part of
// a start, so it is done once for each profile, as the capabilities resolve
// it, and kept on disk.
type programs struct {
	dir    string
	salt   string // what else the result depends on
	usable bool   // the runtime takes programs

	mu     sync.Mutex
	loaded map[string]string // key → program in base64; "" is known to be missing
}

func newPrograms(dir string, oci ociRuntime) *programs {
	return &programs{
		dir: dir, salt: goruntime.GOARCH + "\n" + kernelRelease() + "\n" + oci.name + " " + oci.version + "\n",
		loaded: map[string]string{},
	}
}

func (p *programs) key(profile *specs.LinuxSeccomp) (string, error) {
	b, err := json.Marshal(profile)
	if err != nil {
		return "", fmt.Errorf("cannot name seccomp profile: %w", err)
	}
	sum := sha256.Sum256(append([]byte(p.salt), b...))
	return hex.EncodeToString(sum[:]), nil
}

// find returns the program of a profile, "" if there is none.
func (p *programs) find(key string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.usable {
		return ""
	}
	program, known := p.loaded[key]
	if known {
		return program
	}
	b, err := os.ReadFile(filepath.Join(p.dir, key))
	if err == nil && isProgram(b) {
		program = base64.StdEncoding.EncodeToString(b)
	}
	p.loaded[key] = program
	return program
}

func (p *programs) store(key string, program []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(p.dir, key), program, 0o600); err != nil {
		return err
	}
	p.loaded[key] = base64.StdEncoding.EncodeToString(program)
	return nil
}

// isProgram tells whether b can be a classic BPF program: instructions of
// eight bytes, as many as the kernel takes.
func isProgram(b []byte) bool { return len(b) > 0 && len(b)%8 == 0 && len(b) <= 4096*8 }

// applySeccomp sets the profile that the container asks for, compiled if it
// was compiled before. It returns what the runtime compiles now, so that the
// result can be kept.
func (r *Runtime) applySeccomp(spec *model.ContainerSpec, s *specs.Spec) (*specs.LinuxSeccomp, error) {
	if spec.Privileged || spec.Seccomp == "unconfined" || !seccompInKernel() {
		return nil, nil
	}
	if spec.Seccomp != "" {
		own, err := seccomp.LoadProfile(spec.Seccomp, s)
		s.Linux.Seccomp = own
		return nil, model.WrapError(model.KindInvalid, err, "the seccomp profile is not valid")
	}
	profile, err := seccomp.GetDefaultProfile(s)
	if err != nil {
		return nil, fmt.Errorf("cannot make default seccomp profile: %w", err)
	}
	key, err := r.programs.key(profile)
	if err != nil {
		return nil, err
	}
	if program := r.programs.find(key); program != "" {
		s.Annotations = map[string]string{ocispec.SeccompAnnotation: program}
		return nil, nil
	}
	s.Linux.Seccomp = profile
	return profile, nil
}

// harvest keeps the program that crun has just compiled for a container.
func (r *Runtime) harvest(id string, profile *specs.LinuxSeccomp) {
	if !r.programs.usable {
		return
	}
	b, err := os.ReadFile(filepath.Join(r.ociRoot(), id, "seccomp.bpf"))
	if err != nil || !isProgram(b) {
		return // it has been cleaned up already; another start will do
	}
	key, err := r.programs.key(profile)
	if err == nil {
		err = r.programs.store(key, b)
	}
	if err != nil {
		r.logger.Warn("seccomp program is not kept", "err", err)
	}
}

// prefill finds out whether the runtime takes compiled programs, and has the
// default profile compiled, so that no start waits for it. Where it does not
// work, each start compiles for itself.
func (r *Runtime) prefill(ctx context.Context) {
	if r.oci.name != "crun" {
		return
	}
	probe := specs.Spec{Process: &specs.Process{Capabilities: ocispec.ProcessCapabilities(ocispec.DefaultCapabilities(), 0)}, Linux: &specs.Linux{}}
	profile, err := seccomp.GetDefaultProfile(&probe)
	if err != nil {
		r.logger.Warn("seccomp programs are not used", "err", err)
		return
	}
	key, err := r.programs.key(profile)
	if err != nil {
		r.logger.Warn("seccomp programs are not used", "err", err)
		return
	}
	r.programs.usable = true
	if r.programs.find(key) != "" {
		return // only a runtime that takes programs has left one
	}
	r.programs.usable = false
	program, err := r.compile(ctx, profile, "")
	if err == nil {
		// The same must come back when it is handed in.
		var again []byte
		again, err = r.compile(ctx, nil, base64.StdEncoding.EncodeToString(program))
		if err == nil && string(again) != string(program) {
			err = fmt.Errorf("the runtime does not take a compiled program")
		}
	}
	if err == nil {
		err = r.programs.store(key, program)
	}
	if err != nil {
		r.warnings = append(r.warnings, "the seccomp profile is compiled at every start, which takes longer: "+err.Error())
		return
	}
	r.programs.usable = true
}

// compile has crun create, and never start, a container whose seccomp program
// it then leaves in its state directory.
func (r *Runtime) compile(ctx context.Context, profile *specs.LinuxSeccomp, program string) ([]byte, error) {
	dir, err := os.MkdirTemp(r.cfg.RunDir, "seccomp")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	id := filepath.Base(dir)
	rootfs := filepath.Join(dir, "root")
	for _, sub := range []string{"dev", "proc"} {
		if err := os.MkdirAll(filepath.Join(rootfs, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(rootfs, "never"), nil, 0o755); err != nil {
		return nil, err
	}
	spec, err := ocispec.Build(ocispec.Input{
		ID: id, Rootfs: rootfs, Host: r.host, CgroupsPath: filepath.Join("/", r.cfg.CgroupParent, id),
		Spec: &model.ContainerSpec{Entrypoint: []string{"/never"}}, Seccomp: profile, SeccompProgram: program,
	})
	if err != nil {
		return nil, err
	}
	spec.Mounts = spec.Mounts[:2] // /proc and /dev will do
	b, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), b, 0o600); err != nil {
		return nil, err
	}
	run := func(args ...string) error {
		argv := append(r.command(), args...)
		// A file, because the created process holds what it inherits: a pipe
		// would not end before it does.
		said, err := os.Create(filepath.Join(dir, "said"))
		if err != nil {
			return err
		}
		defer said.Close()
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr = said, said
		if err := cmd.Run(); err != nil {
			out, _ := os.ReadFile(said.Name())
			return fmt.Errorf("cannot make a container to compile in: %w: %.200s", err, out)
		}
		return nil
	}
	defer func() {
		_ = run("delete", "--force", id) // there is nothing if create failed
		r.removeAccountGroups()
	}()
	if err := run("create", "--bundle", dir, id); err != nil {
		return nil, err
	}
	compiled, err := os.ReadFile(filepath.Join(r.ociRoot(), id, "seccomp.bpf"))
	if err == nil && !isProgram(compiled) {
		err = fmt.Errorf("the runtime left no program")
	}
	return compiled, err
}
