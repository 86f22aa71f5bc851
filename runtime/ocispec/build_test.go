package ocispec_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/ocispec"
)

var update = flag.Bool("update", false, "write the golden files")

func input(spec model.ContainerSpec) ocispec.Input {
	spec.Hostname = "box"
	if spec.Cmd == nil {
		spec.Cmd = []string{"/bin/true"}
	}
	return ocispec.Input{
		ID: "c1", Spec: &spec, Rootfs: "/roots/c1", Netns: "/run/netns/c1", CgroupsPath: "/spearhead/a1/c1",
		User: ocispec.User{Home: "/root", Groups: []uint32{0}},
		Host: ocispec.Host{
			CgroupVersion: 1, SwapLimit: true, BlkioWeight: true, CPURealtime: true, FileLimit: 1 << 20,
			Capabilities: append(ocispec.DefaultCapabilities(), "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE"),
		},
		Init: "/usr/bin/tini-static", BlockDevices: map[string]ocispec.BlockDevice{"/dev/sda": {Major: 8}},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	none := []string{}
	umask, swappiness := uint32(0o077), int64(10)
	disk := func(rate uint64) []model.BlkioLimit { return []model.BlkioLimit{{Path: "/dev/sda", Rate: rate}} }
	version2 := input(model.ContainerSpec{Limits: model.Limits{CPUShares: 512, Memory: 64 << 20, BlkioWriteIOps: disk(9)}})
	version2.Host.CgroupVersion = 2
	cases := map[string]ocispec.Input{
		"version2": version2,
		"init-and-parent": input(model.ContainerSpec{
			Init: true, Umask: &umask, Annotations: map[string]string{"org.example.key": "value"}, CgroupParent: "/machine/mine/",
			DeviceCgroupRules: []string{"c 10:* rw", "b 8:1 m", "a *:* r"}, UsernsMode: "host",
			Limits: model.Limits{
				Memory: 1 << 20, MemorySwap: -1, MemorySwappiness: &swappiness, CPURealtimePeriod: 1000, CPURealtimeRuntime: 500, OomKillDisable: true,
				BlkioWeightDevice: disk(20), BlkioReadBps: disk(1), BlkioWriteBps: disk(2), BlkioReadIOps: disk(3), BlkioWriteIOps: disk(4),
			},
		}),
		"default": input(model.ContainerSpec{}),
		"limits": input(model.ContainerSpec{Limits: model.Limits{
			Memory: 64 << 20, MemoryReservation: 32 << 20, CPUShares: 512, CPUQuota: 50000, CPUPeriod: 100000, CpusetCpus: "0",
			Pids: 100, BlkioWeight: 300, Ulimits: []model.Ulimit{{Name: "nofile", Soft: 100, Hard: 200}, {Name: "core", Soft: -1, Hard: -1}},
		}, OomScoreAdj: 100}),
		"terminal-and-user": input(model.ContainerSpec{
			Tty: true, Env: []string{"A=b", "PATH=/bin", "TERM"}, WorkingDir: "srv/../app", Domainname: "example.org",
			Sysctls: map[string]string{"net.core.somaxconn": "9"}, NoNewPrivileges: true, ReadonlyRootfs: true,
		}),
		"mounts": input(model.ContainerSpec{
			Mounts: []model.Mount{
				{Type: "bind", Source: "/data/", Target: "/srv/data/x", ReadOnly: true, Propagation: "rslave"},
				{Type: "tmpfs", Target: "/srv", TmpfsSize: 4096, TmpfsMode: 0o700},
			},
			Tmpfs: map[string]string{"/run": "rw,exec,size=1m", "/dev/shm": ""}, ShmSize: 1 << 20, IpcMode: "shareable",
		}),
		"privileged":   input(model.ContainerSpec{Privileged: true, PidMode: "host", IpcMode: "host", UTSMode: "host"}),
		"capabilities": input(model.ContainerSpec{CapDrop: []string{"ALL"}, CapAdd: []string{"net_admin", "CAP_CHOWN"}, MaskedPaths: &none}),
	}
	joined := input(model.ContainerSpec{PidMode: "container:x", IpcMode: "container:x", CgroupnsMode: "private"})
	joined.PidNamespace, joined.IpcNamespace, joined.Netns = "/proc/7/ns/pid", "/proc/7/ns/ipc", "host"
	joined.Host.CgroupVersion = 2
	joined.Hostname, joined.Hosts, joined.ResolvConf = "/x/hostname", "/x/hosts", "/x/resolv.conf"
	joined.User = ocispec.User{UID: 1000, GID: 1000, Groups: []uint32{1000}, Home: "/home/u"}
	joined.Devices = []ocispec.Device{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, Mode: 0o666, Access: "rw"}}
	cases["joined"] = joined
	for name, in := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec, err := ocispec.Build(in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(spec, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
				t.Errorf("go test -update writes what is made now (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLimitsThatTheKernelWouldNotKeepAreRefused(t *testing.T) {
	t.Parallel()
	for controller, limits := range map[string]model.Limits{
		"memory": {Memory: 64 << 20}, "cpu": {CPUQuota: 50000}, "cpuset": {CpusetCpus: "0"}, "pids": {Pids: 5}, "io": {BlkioWeight: 300},
	} {
		in := input(model.ContainerSpec{Limits: limits})
		if _, err := ocispec.Build(in); err != nil {
			t.Errorf("with the %s controller: %v", controller, err)
		}
		in.Host.MissingControllers = []string{controller}
		if _, err := ocispec.Build(in); !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), "no "+controller+" controller") {
			t.Errorf("without the %s controller: %v", controller, err)
		}
		in.Spec.Limits = model.Limits{}
		if _, err := ocispec.Build(in); err != nil {
			t.Errorf("without the %s controller and a limit: %v", controller, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]model.ContainerSpec{
		"no command":             {Cmd: []string{}},
		"cwd in /proc":           {WorkingDir: "/x/../proc/self/fd/8"},
		"unknown capability":     {CapAdd: []string{"FLY"}},
		"unknown dropped":        {CapDrop: []string{"FLY"}},
		"not the node's to give": {CapAdd: []string{"SYS_RESOURCE"}},
		"unknown ulimit":         {Limits: model.Limits{Ulimits: []model.Ulimit{{Name: "love"}}}},
		"soft over hard":         {Limits: model.Limits{Ulimits: []model.Ulimit{{Name: "nofile", Soft: 2, Hard: 1}}}},
		"sysctl of the machine":  {Sysctls: map[string]string{"kernel.panic": "1"}},
		"sysctl with a way out":  {Sysctls: map[string]string{"net..kernel.panic": "1"}},
		"tmpfs over /dev":        {Tmpfs: map[string]string{"/x/../dev/": ""}},
		"mount over /proc":       {Tmpfs: map[string]string{"/proc/sys": ""}},
		"relative target":        {Tmpfs: map[string]string{"x": ""}},
		"unknown tmpfs option":   {Tmpfs: map[string]string{"/x": "size=1,lowerdir=/etc"}},
		"unknown mount type":     {Mounts: []model.Mount{{Type: "overlay", Target: "/x"}}},
		"unknown pid mode":       {PidMode: "mine"},
		"unknown cgroup ns mode": {CgroupnsMode: "mine"},
		"unknown user ns mode":   {UsernsMode: "mine"},
		"umask too large":        {Umask: ptr(uint32(0o1000))},
		"annotation of crun":     {Annotations: map[string]string{"run.oci.hooks.stdout": "/etc/passwd"}},
		"annotation of systemd":  {Annotations: map[string]string{"Org.Systemd.property.x": "1"}},
		"annotation, no name":    {Annotations: map[string]string{"": "1"}},
		"relative cgroup parent": {CgroupParent: "mine"},
		"a way out of a parent":  {CgroupParent: "/a/../../b"},
		"device rule, no access": {DeviceCgroupRules: []string{"c 1:3 "}},
		"device rule, no minor":  {DeviceCgroupRules: []string{"c 1 rwm"}},
		"device rule, sign":      {DeviceCgroupRules: []string{"c -1:3 rwm"}},
		"device rule, type":      {DeviceCgroupRules: []string{"p 1:3 rwm"}},
		"device rule, access":    {DeviceCgroupRules: []string{"c 1:3 rx"}},
		"swappiness over 100":    {Limits: model.Limits{MemorySwappiness: ptr(int64(101))}},
		"real time over period":  {Limits: model.Limits{CPURealtimePeriod: 10, CPURealtimeRuntime: 11}},
		"weight of a disk":       {Limits: model.Limits{BlkioWeightDevice: []model.BlkioLimit{{Path: "/dev/sda", Rate: 9}}}},
		"unknown disk":           {Limits: model.Limits{BlkioReadBps: []model.BlkioLimit{{Path: "/dev/sdb", Rate: 9}}}},
	} {
		if _, err := ocispec.Build(input(spec)); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ocispec.Build(input(model.ContainerSpec{PidMode: "container:x"})); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a container to join that does not run: %v", err)
	}
}

// TestDropOfWhatTheNodeLacks is on a node without CAP_SYS_RESOURCE.
func TestDropOfWhatTheNodeLacks(t *testing.T) {
	t.Parallel()
	for _, spec := range []model.ContainerSpec{
		{CapDrop: []string{"sys_resource", "CHOWN"}},
		{CapAdd: []string{"ALL"}, CapDrop: []string{"CAP_SYS_RESOURCE", "CAP_CHOWN"}},
	} {
		s, err := ocispec.Build(input(spec))
		if err != nil {
			t.Errorf("add %v, drop %v: %v", spec.CapAdd, spec.CapDrop, err)
			continue
		}
		caps := s.Process.Capabilities.Bounding
		if slices.Contains(caps, "CAP_SYS_RESOURCE") || slices.Contains(caps, "CAP_CHOWN") || !slices.Contains(caps, "CAP_KILL") {
			t.Errorf("add %v, drop %v: %v", spec.CapAdd, spec.CapDrop, caps)
		}
	}
}

// FuzzTenantGetsNothingPrivileged builds from specifications that a policy has
// cleaned of what a tenant may not ask for, and looks for ways out.
func FuzzTenantGetsNothingPrivileged(f *testing.F) {
	f.Add([]byte(`{"cmd":["x"],"tmpfs":{"/dev/../proc":"exec"},"cap_add":["ALL"],"sysctls":{"net.a":"b"}}`))
	f.Add([]byte(`{"cmd":["x"],"working_dir":"//proc","mounts":[{"type":"tmpfs","target":"/sys"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var spec model.ContainerSpec
		if json.Unmarshal(data, &spec) != nil {
			return
		}
		clean(&spec)
		s, err := ocispec.Build(input(spec))
		if err != nil {
			return
		}
		checkHarmless(t, s)
	})
}

// clean takes out what a tenant may not have.
func clean(s *model.ContainerSpec) {
	s.Privileged, s.CapAdd, s.Devices, s.Seccomp = false, nil, nil, ""
	s.PidMode, s.UTSMode, s.CgroupnsMode, s.MaskedPaths, s.ReadonlyPaths = "", "", "", nil, nil
	s.CgroupParent, s.DeviceCgroupRules = "", nil
	if s.IpcMode == "host" {
		s.IpcMode = ""
	}
	s.Mounts = slices.DeleteFunc(s.Mounts, func(m model.Mount) bool { return m.Type == "bind" })
}

func checkHarmless(t *testing.T, s *specs.Spec) {
	t.Helper()
	for _, c := range s.Process.Capabilities.Bounding {
		if !slices.Contains(ocispec.DefaultCapabilities(), c) {
			t.Errorf("has %s", c)
		}
	}
	kinds := map[specs.LinuxNamespaceType]bool{}
	for _, ns := range s.Linux.Namespaces {
		kinds[ns.Type] = true
		if ns.Path != "" && ns.Path != "/run/netns/c1" {
			t.Errorf("joins %s", ns.Path)
		}
	}
	for _, want := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.MountNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.NetworkNamespace} {
		if !kinds[want] {
			t.Errorf("shares the node's %s namespace", want)
		}
	}
	dev := false
	for _, m := range s.Mounts {
		if m.Type == "bind" && (m.Source != "/usr/bin/tini-static" || !slices.Contains(m.Options, "ro")) {
			t.Errorf("binds %s", m.Source)
		}
		dev = dev || m.Destination == "/dev" && m.Type == "tmpfs"
		if m.Type == "tmpfs" && (m.Destination == "/proc" || strings.HasPrefix(m.Destination, "/proc/")) {
			t.Errorf("covers %s", m.Destination)
		}
	}
	if !dev || len(s.Linux.MaskedPaths) == 0 || len(s.Linux.ReadonlyPaths) == 0 || len(s.Linux.Devices) != 0 {
		t.Errorf("lacks protection: %+v", s.Linux)
	}
	for name := range s.Annotations {
		if strings.HasPrefix(name, "run.oci.") {
			t.Errorf("steers crun by %s", name)
		}
	}
	if s.Linux.CgroupsPath != "/spearhead/a1/c1" {
		t.Errorf("is in the group %s", s.Linux.CgroupsPath)
	}
	if s.Process.Cwd == "/proc" || strings.HasPrefix(s.Process.Cwd, "/proc/") {
		t.Errorf("works in %s", s.Process.Cwd)
	}
	for name := range s.Linux.Sysctl {
		if !strings.HasPrefix(name, "net.") && !strings.HasPrefix(name, "fs.mqueue.") && !strings.HasPrefix(name, "kernel.") {
			t.Errorf("sets %s", name)
		}
	}
}
