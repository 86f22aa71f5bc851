package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
)

// forbidden is everything that a tenant may not ask: how to ask for it, and
// the field that the refusal must name.
var forbidden = []struct {
	field string
	ask   func(*model.CreateContainer)
}{
	{"HostConfig.Privileged", func(r *model.CreateContainer) { r.Spec.Privileged = true }},
	{"HostConfig.CapAdd", func(r *model.CreateContainer) { r.Spec.CapAdd = append(r.Spec.CapAdd, "SYS_ADMIN") }},
	{"HostConfig.CapAdd", func(r *model.CreateContainer) { r.Spec.CapAdd = append(r.Spec.CapAdd, "cap_net_admin") }},
	{"HostConfig.CapAdd", func(r *model.CreateContainer) { r.Spec.CapAdd = append(r.Spec.CapAdd, "ALL") }},
	{"HostConfig.NetworkMode", func(r *model.CreateContainer) { r.Spec.Network = "host" }},
	{"HostConfig.PidMode", func(r *model.CreateContainer) { r.Spec.PidMode = "host" }},
	{"HostConfig.IpcMode", func(r *model.CreateContainer) { r.Spec.IpcMode = "host" }},
	{"HostConfig.UTSMode", func(r *model.CreateContainer) { r.Spec.UTSMode = "host" }},
	{"HostConfig.CgroupnsMode", func(r *model.CreateContainer) { r.Spec.CgroupnsMode = "host" }},
	{"HostConfig.UsernsMode", func(r *model.CreateContainer) { r.Asked.UsernsMode = "host" }},
	{"HostConfig.Binds/Mounts", func(r *model.CreateContainer) {
		r.Spec.Mounts = append(r.Spec.Mounts, model.Mount{Type: "bind", Source: "/etc", Target: "/host"})
	}},
	{"HostConfig.VolumeDriver", func(r *model.CreateContainer) { r.Asked.VolumeDriver = "nfs" }},
	{"HostConfig.MaskedPaths", func(r *model.CreateContainer) { r.Spec.MaskedPaths = &[]string{} }},
	{"HostConfig.ReadonlyPaths", func(r *model.CreateContainer) { r.Spec.ReadonlyPaths = &[]string{} }},
	{"HostConfig.Devices", func(r *model.CreateContainer) { r.Spec.Devices = []model.Device{{PathOnHost: "/dev/kvm"}} }},
	{"HostConfig.DeviceRequests", func(r *model.CreateContainer) { r.Asked.DeviceRequests = []string{"gpu"} }},
	{"HostConfig.DeviceCgroupRules", func(r *model.CreateContainer) { r.Asked.DeviceCgroupRules = []string{"c 1:3 rwm"} }},
	{"HostConfig.SecurityOpt", func(r *model.CreateContainer) {
		r.Asked.SecurityOpt = append(r.Asked.SecurityOpt, "seccomp=unconfined")
	}},
	{"HostConfig.SecurityOpt", func(r *model.CreateContainer) {
		r.Asked.SecurityOpt = append(r.Asked.SecurityOpt, "apparmor=unconfined")
	}},
	{"HostConfig.SecurityOpt", func(r *model.CreateContainer) { r.Spec.Seccomp = "unconfined" }},
	{"HostConfig.Sysctls", func(r *model.CreateContainer) { set(r, "kernel.msgmax") }},
	{"HostConfig.Sysctls", func(r *model.CreateContainer) { set(r, "net/../kernel/core_pattern") }},
	{"HostConfig.Sysctls", func(r *model.CreateContainer) { set(r, "net") }},
	{"HostConfig.CgroupParent", func(r *model.CreateContainer) { r.Asked.CgroupParent = "/" }},
	{"HostConfig.Runtime", func(r *model.CreateContainer) { r.Asked.Runtime = "runc" }},
	{"HostConfig.Isolation", func(r *model.CreateContainer) { r.Asked.Isolation = "hyperv" }},
	{"HostConfig.OomScoreAdj", func(r *model.CreateContainer) { r.Spec.OomScoreAdj = -1 }},
	{"HostConfig.OomKillDisable", func(r *model.CreateContainer) { r.Spec.Limits.OomKillDisable = true }},
	{"HostConfig.KernelMemory", func(r *model.CreateContainer) { r.Asked.KernelMemory = 1 }},
	{"HostConfig.MemorySwap", func(r *model.CreateContainer) { r.Spec.Limits.MemorySwap = -1 }},
	{"HostConfig.CpusetCpus", func(r *model.CreateContainer) { r.Spec.Limits.CpusetCpus = "0" }},
	{"HostConfig.CpusetMems", func(r *model.CreateContainer) { r.Spec.Limits.CpusetMems = "0" }},
	{"HostConfig.UsernsMode", func(r *model.CreateContainer) { r.Spec.UsernsMode = "host" }},
	{"HostConfig.CgroupParent", func(r *model.CreateContainer) { r.Spec.CgroupParent = "/system.slice" }},
	{"HostConfig.DeviceCgroupRules", func(r *model.CreateContainer) { r.Spec.DeviceCgroupRules = []string{"a *:* rwm"} }},
	{"HostConfig.Annotations", func(r *model.CreateContainer) {
		r.Spec.Annotations = map[string]string{"run.oci.keep_original_groups": "1"}
	}},
	{"HostConfig.CpuRealtimePeriod", func(r *model.CreateContainer) { r.Spec.Limits.CPURealtimePeriod = 1000 }},
	{"HostConfig.CpuRealtimeRuntime", func(r *model.CreateContainer) { r.Spec.Limits.CPURealtimeRuntime = 1000 }},
	{"HostConfig.BlkioWeightDevice", func(r *model.CreateContainer) { r.Spec.Limits.BlkioWeightDevice = sda }},
	{"HostConfig.BlkioDeviceReadBps", func(r *model.CreateContainer) { r.Spec.Limits.BlkioReadBps = sda }},
	{"HostConfig.BlkioDeviceWriteBps", func(r *model.CreateContainer) { r.Spec.Limits.BlkioWriteBps = sda }},
	{"HostConfig.BlkioDeviceReadIOps", func(r *model.CreateContainer) { r.Spec.Limits.BlkioReadIOps = sda }},
	{"HostConfig.BlkioDeviceWriteIOps", func(r *model.CreateContainer) { r.Spec.Limits.BlkioWriteIOps = sda }},
}

var sda = []model.BlkioLimit{{Path: "/dev/sda", Rate: 1}}

// allowed is what any tenant may ask.
var allowed = []func(*model.CreateContainer){
	func(r *model.CreateContainer) { r.Spec.CapAdd = append(r.Spec.CapAdd, "NET_RAW", "cap_chown") },
	func(r *model.CreateContainer) { r.Spec.CapDrop = []string{"ALL"} },
	func(r *model.CreateContainer) { r.Spec.Network = "none" },
	func(r *model.CreateContainer) { r.Spec.PidMode = "container:web" },
	func(r *model.CreateContainer) { r.Spec.IpcMode = "shareable" },
	func(r *model.CreateContainer) { r.Asked.SecurityOpt = append(r.Asked.SecurityOpt, "no-new-privileges") },
	func(r *model.CreateContainer) { set(r, "net.ipv4.ip_unprivileged_port_start") },
	func(r *model.CreateContainer) {
		r.Spec.Mounts = append(r.Spec.Mounts, model.Mount{Type: "tmpfs", Target: "/run"})
	},
	func(r *model.CreateContainer) { r.Spec.OomScoreAdj = 500 },
	func(r *model.CreateContainer) { r.Spec.Limits.Memory = 1 << 30 },
	func(r *model.CreateContainer) { r.Asked.Isolation = "default" },
	func(r *model.CreateContainer) { r.Spec.User = "0" },
	func(r *model.CreateContainer) { r.Spec.Limits.BlkioWeight = 500 },
	func(r *model.CreateContainer) { r.Spec.Healthcheck = &model.Healthcheck{Test: []string{"CMD", "true"}} },
	func(r *model.CreateContainer) { r.Asked.Links, r.Asked.VolumesFrom = []string{"db"}, []string{"db"} },
	func(r *model.CreateContainer) { r.Spec.Init = true },
	// Logs leave from inside the container's network, where it may go anyway.
	func(r *model.CreateContainer) { r.Spec.Log = model.LogConfig{Driver: "syslog"} },
}

func set(r *model.CreateContainer, sysctl string) {
	if r.Spec.Sysctls == nil {
		r.Spec.Sysctls = map[string]string{}
	}
	r.Spec.Sysctls[sysctl] = "1"
}

func TestRefusalNamesEveryForbiddenField(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var r model.CreateContainer
		for _, i := range rapid.SliceOfDistinct(rapid.IntRange(0, len(allowed)-1), rapid.ID[int]).Draw(t, "allowed") {
			allowed[i](&r)
		}
		asked := rapid.SliceOfDistinct(rapid.IntRange(0, len(forbidden)-1), rapid.ID[int]).Draw(t, "forbidden")
		want := map[string]bool{}
		for _, i := range asked {
			forbidden[i].ask(&r)
			want[forbidden[i].field] = true
		}
		got := map[string]bool{}
		vs := Check(model.Account{Policy: model.PolicyTenant}, &r)
		for _, v := range vs {
			got[v.Field] = true
		}
		for f := range want {
			if !got[f] {
				t.Errorf("%s is not refused", f)
			}
		}
		for f := range got {
			if !want[f] {
				t.Errorf("%s is refused and was not asked", f)
			}
		}
		err := Refuse(vs)
		if (err != nil) != (len(asked) > 0) {
			t.Fatalf("error %v for %d forbidden things", err, len(asked))
		}
		for f := range want {
			if !model.IsKind(err, model.KindForbidden) || !strings.Contains(err.Error(), f) {
				t.Errorf("error %v does not name %s", err, f)
			}
		}
		if vs := Check(model.Account{Policy: model.PolicyTrusted}, &r); len(vs) > 0 {
			t.Errorf("a trusted account is refused %v", vs)
		}
	})
}

func TestEveryForbiddenThingAlone(t *testing.T) {
	t.Parallel()
	for _, f := range forbidden {
		var r model.CreateContainer
		f.ask(&r)
		vs := Check(model.Account{}, &r) // an account without a policy is a tenant
		if len(vs) != 1 || vs[0].Field != f.field {
			t.Errorf("%s: got %v", f.field, vs)
		}
	}
}

func TestExec(t *testing.T) {
	t.Parallel()
	if vs := CheckExec(model.Account{Policy: model.PolicyTenant}, true); len(vs) != 1 || vs[0].Field != "Privileged" {
		t.Errorf("privileged exec of a tenant: %v", vs)
	}
	if vs := slices.Concat(CheckExec(model.Account{}, false), CheckExec(model.Account{Policy: model.PolicyTrusted}, true)); len(vs) > 0 {
		t.Errorf("refused: %v", vs)
	}
}

// An update must not get what a creation does not.
func TestUpdateIsJudgedAsACreation(t *testing.T) {
	t.Parallel()
	judged := 0
	for _, f := range forbidden {
		var r model.CreateContainer
		f.ask(&r)
		vs := CheckLimits(model.Account{Policy: model.PolicyTenant}, &r.Spec.Limits)
		if cmp.Equal(r.Spec.Limits, model.Limits{}) {
			if len(vs) > 0 {
				t.Errorf("%s: refused without a limit: %v", f.field, vs)
			}
			continue
		}
		judged++
		if len(vs) != 1 || vs[0].Field != f.field {
			t.Errorf("%s: got %v", f.field, vs)
		}
		if vs := CheckLimits(model.Account{Policy: model.PolicyTrusted}, &r.Spec.Limits); len(vs) > 0 {
			t.Errorf("%s: a trusted account is refused", f.field)
		}
	}
	if judged < 11 {
		t.Errorf("%d limits are judged", judged)
	}
}
