package ocispec

import (
	"io/fs"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/spearheadcloud/spearhead/model"
)

// deviceRules let a container make any device file, and use only the harmless
// ones of every container and those that it was given.
func deviceRules(in Input) ([]specs.LinuxDeviceCgroup, error) {
	if in.Spec.Privileged {
		return []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}, nil
	}
	rules := []specs.LinuxDeviceCgroup{
		{Allow: false, Access: "rwm"},
		{Allow: true, Type: "c", Access: "m"}, {Allow: true, Type: "b", Access: "m"},
	}
	for _, d := range [][2]int64{{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}, {5, 2}, {136, -1}} {
		rule := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &d[0], Access: "rwm"}
		if d[1] >= 0 {
			rule.Minor = &d[1]
		}
		rules = append(rules, rule)
	}
	for i := range in.Devices {
		d := &in.Devices[i]
		rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: d.Access})
	}
	for _, text := range in.Spec.DeviceCgroupRules {
		rule, err := deviceRule(text)
		if err != nil {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// deviceRule reads a rule in Docker's form: type, numbers and access, as in
// "c 10:* rw".
func deviceRule(text string) (specs.LinuxDeviceCgroup, error) {
	refused := model.Errorf(model.KindInvalid, "invalid device cgroup rule format: '%.100s'", text)
	fields := strings.Split(text, " ")
	if len(fields) != 3 || len(fields[0]) != 1 || !strings.Contains("acb", fields[0]) {
		return specs.LinuxDeviceCgroup{}, refused
	}
	access := fields[2]
	if access == "" || len(access) > 3 || strings.Trim(access, "rwm") != "" {
		return specs.LinuxDeviceCgroup{}, refused
	}
	majorText, minorText, two := strings.Cut(fields[1], ":")
	major, err := deviceNumber(majorText)
	if err != nil || !two {
		return specs.LinuxDeviceCgroup{}, refused
	}
	minor, err := deviceNumber(minorText)
	if err != nil {
		return specs.LinuxDeviceCgroup{}, refused
	}
	return specs.LinuxDeviceCgroup{Allow: true, Type: fields[0], Major: major, Minor: minor, Access: access}, nil
}

// deviceNumber is nil for all numbers.
func deviceNumber(text string) (*int64, error) {
	if text == "*" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	signed := int64(n)
	return &signed, err
}

func devices(list []Device) []specs.LinuxDevice {
	var out []specs.LinuxDevice
	for i := range list {
		d := &list[i]
		mode := fs.FileMode(d.Mode & 0o777)
		out = append(out, specs.LinuxDevice{Path: d.Path, Type: d.Type, Major: d.Major, Minor: d.Minor, FileMode: &mode, UID: &d.UID, GID: &d.GID})
	}
	return out
}
