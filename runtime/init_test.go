package runtime_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

func TestInit(t *testing.T) {
	n := newNode(t)
	if n.Info().Init == "" {
		t.Skip("needs a static tini: install the package tini")
	}
	spec := sh("(sleep 0.05 &); cat /proc/1/cmdline; echo; read a; ps -o pid,stat,comm; exit 4")
	spec.Init, spec.OpenStdin, spec.ReadonlyRootfs = true, true, true
	id := n.create(spec)
	s := n.attach(id, runtime.AttachOptions{Stdin: true, Stdout: true})
	n.start(id, spec)
	n.eventually("the orphan's end", func() bool { return !strings.Contains(n.commands(id), "\nsleep") })
	s.Write([]byte("\n"))
	out, _ := n.read(s, false)
	if !strings.HasPrefix(out, "/sbin/docker-init\x00--\x00/bin/sh\x00") || strings.Contains(out, "Z ") {
		t.Errorf("got %q", out)
	}
	if e := n.waitExit(id); e.ExitCode != 4 {
		t.Errorf("got %+v", e)
	}
	n.remove(id)

	quiet := sh("exec sleep 1000")
	quiet.Init = true
	id = n.create(quiet)
	n.start(id, quiet)
	n.eventually("the command to run", func() bool { return strings.Contains(n.commands(id), "sleep") })
	n.Signal(n.ctx, id, unix.SIGTERM) // which the first process of a namespace would ignore
	if e := n.waitExit(id); e.ExitCode != 143 {
		t.Errorf("after SIGTERM: %+v", e)
	}
	n.remove(id)
	missing := &model.ContainerSpec{Cmd: []string{"nosuch"}, Init: true}
	if e, _, errOut := n.run(missing); e.ExitCode != 127 || !strings.Contains(errOut, "nosuch") {
		t.Errorf("unknown command: %+v %q", e, errOut)
	}
}

func TestInitNeedsAProgram(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"crun", "runc", "busybox", "cp", "sh", "find", "cat", "rmdir"} {
		if path, err := exec.LookPath(name); err == nil {
			os.Symlink(path, filepath.Join(bin, name))
		}
	}
	if path, err := exec.LookPath("tini"); err == nil {
		os.Symlink(path, filepath.Join(bin, "tini")) // a dynamic one is of no use
	}
	t.Setenv("PATH", bin)
	n := newNode(t)
	if got := n.Info(); got.Init != "" || !strings.Contains(strings.Join(got.Warnings, "\n"), "install the package tini") {
		t.Errorf("got %+v", got)
	}
	spec := sh("true")
	spec.Init = true
	id := n.create(spec)
	if _, err := n.startErr(id, spec); !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), "package tini") {
		t.Errorf("got %v", err)
	}
	n.remove(id)
}

func TestUmaskAnnotationsAndCgroupParent(t *testing.T) {
	n := newNode(t)
	umask := uint32(0o027)
	parent := n.cfg.CgroupParent + "/of/its/own"
	spec := sh("umask; cat /proc/self/cgroup; sleep 1000")
	spec.Umask, spec.Annotations, spec.CgroupParent = &umask, map[string]string{"org.example.a": "b"}, parent
	spec.CgroupnsMode = "host"
	spec.DeviceCgroupRules = []string{"c 10:229 rw", "b *:* r"}
	id := n.create(spec)
	n.start(id, spec)
	n.eventually("output", func() bool {
		out, _ := n.logs(id, runtime.LogOptions{Stdout: true, Tail: -1})
		return strings.HasPrefix(out, "0027\n") && strings.Contains(out, ":"+parent+"/"+id+"\n")
	})
	if _, out, _ := n.exec(id, runtime.ExecSpec{Args: []string{"sh", "-c", "umask"}, User: "ada"}); out != "0027\n" && strings.HasPrefix(n.Info().Runtime, "crun") { // runc heeds it for the first process only
		t.Errorf("exec has umask %q", out)
	}
	if n.Info().CgroupVersion == 1 {
		b, _ := os.ReadFile("/sys/fs/cgroup/devices" + parent + "/" + id + "/devices.list")
		if !strings.Contains(string(b), "c 10:229 rw") || !strings.Contains(string(b), "b *:* r") {
			t.Errorf("devices: %s", b)
		}
	}
	n.pause(id)
	n.Signal(n.ctx, id, unix.SIGKILL)
	n.waitExit(id)
	n.remove(id)
	if left, _ := filepath.Glob("/sys/fs/cgroup/*" + parent + "/*/cgroup.procs"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
