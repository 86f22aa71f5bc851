package ocispec_test

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/ocispec"
)

func ptr[T any](v T) *T { return &v }

// elsewhere are the fields that are somebody else's to honour, and whose.
var elsewhere = map[string]string{
	"Image": "agent: the root", "ImageID": "agent: the root", "ImageDigest": "agent: the root",
	"User": "runtime resolves it in the root: Input.User", "GroupAdd": "runtime resolves it in the root: Input.User",
	"Labels": "head", "OpenStdin": "iod", "StdinOnce": "iod", "StopSignal": "agent", "StopTimeout": "agent",
	"AutoRemove": "agent", "Healthcheck": "agent", "Restart": "agent", "Log": "runtime and agent/logship",
	"Links": "agent: /etc/hosts and Env", "Network": "agent: Input.Netns", "DNS": "agent: resolv.conf", "DNSSearch": "agent: resolv.conf",
	"DNSOptions": "agent: resolv.conf", "ExtraHosts": "agent: /etc/hosts", "Ports": "network",
	"Seccomp": "runtime resolves it: Input.Seccomp", "Devices": "runtime looks them up: Input.Devices",
	"Limits.Disk": "image: the root's quota", "Limits.NanoCPUs": "told by the head only: quota and period say the same",
}

// effects change one field each, from what base says.
var effects = map[string]func(s *model.ContainerSpec){
	"Hostname": func(s *model.ContainerSpec) { s.Hostname = "other" }, "Domainname": func(s *model.ContainerSpec) { s.Domainname = "x" },
	"WorkingDir": func(s *model.ContainerSpec) { s.WorkingDir = "/x" }, "Entrypoint": func(s *model.ContainerSpec) { s.Entrypoint = []string{"x"} },
	"Cmd": func(s *model.ContainerSpec) { s.Cmd = []string{"x"} }, "Env": func(s *model.ContainerSpec) { s.Env = []string{"A=b"} },
	"Tty": func(s *model.ContainerSpec) { s.Tty = false }, "ConsoleSize": func(s *model.ContainerSpec) { s.ConsoleSize = &model.TerminalSize{Rows: 3} },
	"Init": func(s *model.ContainerSpec) { s.Init = true }, "Mounts": func(s *model.ContainerSpec) { s.Mounts = []model.Mount{{Type: "tmpfs", Target: "/x"}} },
	"Tmpfs":   func(s *model.ContainerSpec) { s.Tmpfs = map[string]string{"/x": ""} },
	"ShmSize": func(s *model.ContainerSpec) { s.ShmSize = 1 }, "ReadonlyRootfs": func(s *model.ContainerSpec) { s.ReadonlyRootfs = true },
	"Privileged": func(s *model.ContainerSpec) { s.Privileged = true }, "CapAdd": func(s *model.ContainerSpec) { s.CapAdd = []string{"NET_ADMIN"} },
	"CapDrop": func(s *model.ContainerSpec) { s.CapDrop = []string{"ALL"} }, "NoNewPrivileges": func(s *model.ContainerSpec) { s.NoNewPrivileges = true },
	"Sysctls": func(s *model.ContainerSpec) { s.Sysctls = map[string]string{"net.a": "b"} },
	"PidMode": func(s *model.ContainerSpec) { s.PidMode = "host" }, "IpcMode": func(s *model.ContainerSpec) { s.IpcMode = "host" },
	"UTSMode": func(s *model.ContainerSpec) { s.UTSMode = "host" }, "CgroupnsMode": func(s *model.ContainerSpec) { s.CgroupnsMode = "private" },
	"UsernsMode": func(s *model.ContainerSpec) { s.UsernsMode = "refused" }, "CgroupParent": func(s *model.ContainerSpec) { s.CgroupParent = "/x" },
	"Umask": func(s *model.ContainerSpec) { s.Umask = ptr(uint32(7)) }, "Annotations": func(s *model.ContainerSpec) { s.Annotations = map[string]string{"a": "b"} },
	"DeviceCgroupRules": func(s *model.ContainerSpec) { s.DeviceCgroupRules = []string{"c 1:1 r"} },
	"OomScoreAdj":       func(s *model.ContainerSpec) { s.OomScoreAdj = 5 },
	"MaskedPaths":       func(s *model.ContainerSpec) { s.MaskedPaths = &[]string{} }, "ReadonlyPaths": func(s *model.ContainerSpec) { s.ReadonlyPaths = &[]string{} },

	"Limits.Memory": func(s *model.ContainerSpec) { s.Limits.Memory = 9 << 20 }, "Limits.MemorySwap": func(s *model.ContainerSpec) { s.Limits.MemorySwap = -1 },
	"Limits.MemoryReservation": func(s *model.ContainerSpec) { s.Limits.MemoryReservation = 1 },
	"Limits.CPUShares":         func(s *model.ContainerSpec) { s.Limits.CPUShares = 3 }, "Limits.CPUQuota": func(s *model.ContainerSpec) { s.Limits.CPUQuota = 3000 },
	"Limits.CPUPeriod": func(s *model.ContainerSpec) { s.Limits.CPUPeriod = 3000 }, "Limits.CpusetCpus": func(s *model.ContainerSpec) { s.Limits.CpusetCpus = "0" },
	"Limits.CpusetMems": func(s *model.ContainerSpec) { s.Limits.CpusetMems = "0" }, "Limits.Pids": func(s *model.ContainerSpec) { s.Limits.Pids = 3 },
	"Limits.BlkioWeight":    func(s *model.ContainerSpec) { s.Limits.BlkioWeight = 30 },
	"Limits.Ulimits":        func(s *model.ContainerSpec) { s.Limits.Ulimits = []model.Ulimit{{Name: "core"}} },
	"Limits.OomKillDisable": func(s *model.ContainerSpec) { s.Limits.OomKillDisable = true }, "Limits.MemorySwappiness": func(s *model.ContainerSpec) { s.Limits.MemorySwappiness = ptr(int64(0)) },
	"Limits.CPURealtimePeriod": func(s *model.ContainerSpec) { s.Limits.CPURealtimePeriod = 9 }, "Limits.CPURealtimeRuntime": func(s *model.ContainerSpec) { s.Limits.CPURealtimeRuntime = 9 },
	"Limits.BlkioWeightDevice": func(s *model.ContainerSpec) { s.Limits.BlkioWeightDevice = oneDisk }, "Limits.BlkioReadBps": func(s *model.ContainerSpec) { s.Limits.BlkioReadBps = oneDisk },
	"Limits.BlkioWriteBps": func(s *model.ContainerSpec) { s.Limits.BlkioWriteBps = oneDisk }, "Limits.BlkioReadIOps": func(s *model.ContainerSpec) { s.Limits.BlkioReadIOps = oneDisk },
	"Limits.BlkioWriteIOps": func(s *model.ContainerSpec) { s.Limits.BlkioWriteIOps = oneDisk },
}

var oneDisk = []model.BlkioLimit{{Path: "/dev/sda", Rate: 100}}

// TestEveryFieldIsHonoured fails when the model gets a field that nobody reads:
// it is then to be put into effects or, with whose it is, into elsewhere.
func TestEveryFieldIsHonoured(t *testing.T) {
	t.Parallel()
	base := model.ContainerSpec{Tty: true, Limits: model.Limits{Memory: 8 << 20}}
	build := func(change func(*model.ContainerSpec)) string {
		spec := base
		in := input(spec)
		change(in.Spec)
		s, err := ocispec.Build(in)
		if err != nil {
			return err.Error()
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	plain := build(func(*model.ContainerSpec) {})
	for _, name := range fieldNames() {
		change := effects[name]
		switch {
		case elsewhere[name] != "":
		case change == nil:
			t.Errorf("nobody is known to honour the field %s", name)
		case build(change) == plain:
			t.Errorf("the field %s changes nothing", name)
		}
	}
}

func fieldNames() (names []string) {
	for _, of := range []struct {
		prefix string
		t      reflect.Type
	}{{"", reflect.TypeFor[model.ContainerSpec]()}, {"Limits.", reflect.TypeFor[model.Limits]()}} {
		for i := range of.t.NumField() {
			if name := of.prefix + of.t.Field(i).Name; name != "Limits" {
				names = append(names, name)
			}
		}
	}
	return names
}

func TestVersion2RefusesWhatItCannot(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]model.Limits{
		"OomKillDisable": {OomKillDisable: true}, "MemorySwappiness": {MemorySwappiness: ptr(int64(60))}, "CPURealtimeRuntime": {CPURealtimeRuntime: 100},
	} {
		in := input(model.ContainerSpec{Limits: limits})
		in.Host.CgroupVersion, in.Host.CPURealtime = 2, false
		if _, err := ocispec.Build(in); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInitIsForPrivateProcessNamespacesOnly(t *testing.T) {
	t.Parallel()
	in := input(model.ContainerSpec{Init: true})
	in.Init = ""
	if _, err := ocispec.Build(in); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("a node without an init process: %v", err)
	}
	in.Spec.PidMode = "host"
	s, err := ocispec.Build(in)
	if err != nil || s.Process.Args[0] != "/bin/true" {
		t.Errorf("got %v", err)
	}
}

func TestCPUWeight(t *testing.T) {
	t.Parallel()
	for shares, want := range map[int64]uint64{1: 1, 2: 1, 1024: 100, 1 << 18: 10000, math.MaxInt64: 10000} {
		if got := ocispec.CPUWeight(shares); got != want {
			t.Errorf("%d: %d", shares, got)
		}
	}
	last := uint64(0)
	for shares := int64(2); shares <= 1<<18; shares++ {
		if got := ocispec.CPUWeight(shares); got < last {
			t.Fatalf("%d shares have less weight than %d", shares, shares-1)
		} else {
			last = got
		}
	}
}
