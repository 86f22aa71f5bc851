package policy

import (
	"reflect"
	"slices"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

// harmless are the fields that say nothing that a policy must judge, whatever
// their value. A field that is neither here nor refused when it is set is one
// that nobody has thought about.
var harmless = []string{
	"Image", "ImageID", "ImageDigest", "Hostname", "Domainname", "User", "WorkingDir", "Entrypoint", "Cmd", "Env", "Labels",
	"Tty", "OpenStdin", "StdinOnce", "ConsoleSize", "StopSignal", "StopTimeout", "AutoRemove", "Init", "Healthcheck", "Links",
	"Restart", "DNS", "DNSSearch", "DNSOptions", "ExtraHosts", "Ports", "Tmpfs", "ShmSize", "ReadonlyRootfs",
	"CapDrop", "NoNewPrivileges", "GroupAdd", "Umask", "Log",
	"Limits.Memory", "Limits.MemorySwap", "Limits.MemoryReservation", "Limits.CPUShares", "Limits.CPUQuota", "Limits.CPUPeriod", "Limits.NanoCPUs",
	"Limits.Pids", "Limits.BlkioWeight", "Limits.Disk", "Limits.Ulimits", "Limits.MemorySwappiness",
	// These are refused by value; forbidden has the values.
	"Network", "PidMode", "IpcMode", "UTSMode", "CgroupnsMode", "UsernsMode", "Asked.UsernsMode", "OomScoreAdj",
	// These name the account's own containers, which the use case resolves.
	"Asked.VolumesFrom", "Asked.Links",
}

func TestEveryFieldIsJudgedOrHarmless(t *testing.T) {
	t.Parallel()
	refused := func(set func(*model.CreateContainer) reflect.Value) bool {
		var r model.CreateContainer
		fill(set(&r))
		return len(Check(model.Account{}, &r)) > 0
	}
	check := func(prefix string, of reflect.Type, at func(*model.CreateContainer) reflect.Value) {
		for i := range of.NumField() {
			name := prefix + of.Field(i).Name
			if name == "Limits" {
				continue
			}
			judged := refused(func(r *model.CreateContainer) reflect.Value { return at(r).Field(i) })
			if listed := slices.Contains(harmless, name); judged == listed {
				t.Errorf("%s: refused %v, listed as harmless %v", name, judged, listed)
			}
		}
	}
	check("", reflect.TypeFor[model.ContainerSpec](), func(r *model.CreateContainer) reflect.Value { return reflect.ValueOf(&r.Spec).Elem() })
	check("Limits.", reflect.TypeFor[model.Limits](), func(r *model.CreateContainer) reflect.Value { return reflect.ValueOf(&r.Spec.Limits).Elem() })
	check("Asked.", reflect.TypeFor[model.Asked](), func(r *model.CreateContainer) reflect.Value { return reflect.ValueOf(&r.Asked).Elem() })
}

// fill gives v a value that is not zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("something")
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	default:
		panic("no value for a " + v.Kind().String())
	}
}
