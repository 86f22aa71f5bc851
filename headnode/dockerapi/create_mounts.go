package dockerapi

import (
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/spearheadcloud/spearhead/model"
)

// mounts decides which file trees the container sees besides its root.
func (d *creation) mounts() error {
	h, spec := d.asked.HostConfig, &d.out.Spec
	for _, bind := range h.Binds {
		if err := d.bind(bind); err != nil {
			return err
		}
	}
	for i := range h.Mounts {
		if err := d.mount(&h.Mounts[i]); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for _, m := range spec.Mounts {
		if seen[m.Target] {
			return invalid("Duplicate mount point: %.128s", m.Target)
		}
		seen[m.Target] = true
	}
	if err := d.tmpfsMounts(seen); err != nil {
		return err
	}
	if err := d.plainVolumes(seen); err != nil {
		return err
	}
	if h.ShmSize < 0 {
		return invalid("SHM size can not be less than 0")
	}
	spec.ShmSize, spec.ReadonlyRootfs = h.ShmSize, h.ReadonlyRootfs
	return d.storageOptions()
}

// tmpfsMounts are those of --tmpfs.
func (d *creation) tmpfsMounts(seen map[string]bool) error {
	h, spec := d.asked.HostConfig, &d.out.Spec
	for _, target := range sortedKeys(h.Tmpfs) {
		clean, err := mountTarget(target)
		if err != nil {
			return err
		}
		if seen[clean] {
			return invalid("Duplicate mount point: %.128s", clean)
		}
		seen[clean] = true
		if err := checkTmpfsOptions(h.Tmpfs[target]); err != nil {
			return err
		}
		if spec.Tmpfs == nil {
			spec.Tmpfs = map[string]string{}
		}
		spec.Tmpfs[clean] = h.Tmpfs[target]
	}
	return nil
}

func mountTarget(target string) (string, error) {
	if !path.IsAbs(target) || strings.ContainsRune(target, 0) {
		return "", invalid("invalid mount path: '%.128s' mount path must be absolute", target)
	}
	clean := path.Clean(target)
	if clean == "/" {
		return "", invalid("invalid specification: destination can't be '/'")
	}
	return clean, nil
}

// bind reads source:target[:options], or a target alone. A source that is no
// path is the name of a volume.
func (d *creation) bind(text string) error {
	parts := strings.Split(text, ":")
	if len(parts) > 3 || parts[0] == "" || strings.ContainsRune(text, 0) {
		return invalid("invalid volume specification: '%.128s'", text)
	}
	if len(parts) == 1 {
		parts = []string{"", text}
	}
	target, err := mountTarget(parts[1])
	if err != nil {
		return err
	}
	if !path.IsAbs(parts[0]) {
		options := "rw"
		if len(parts) == 3 {
			options = parts[2]
		}
		if options == "" {
			return invalid("invalid volume specification: '%.128s': invalid mode: ", text)
		}
		return d.volumeBind(parts[0], target, options)
	}
	m := model.Mount{Type: string(mount.TypeBind), Source: path.Clean(parts[0]), Target: target, CreateSource: true}
	if len(parts) == 3 {
		if err := bindOptions(&m, parts[2]); err != nil {
			return invalid("invalid volume specification: '%.128s': %s", text, err)
		}
	}
	d.out.Spec.Mounts = append(d.out.Spec.Mounts, m)
	return nil
}

// bindOptions reads the options of -v. Those for SELinux, for volumes and for
// other systems than Linux ask for nothing here, as with Docker.
func bindOptions(m *model.Mount, text string) error {
	if err := checkModes(text); err != nil {
		return err
	}
	for option := range strings.SplitSeq(text, ",") {
		switch option {
		case "ro":
			m.ReadOnly = true
		case "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent", "default":
		case "rprivate", "private", "rshared", "shared", "rslave", "slave":
			if m.Propagation != "" {
				return invalid("several kinds of propagation")
			}
			m.Propagation = option
		default:
			return invalid("invalid mode: %.32s", option)
		}
	}
	return nil
}

// mount reads one element of HostConfig.Mounts.
func (d *creation) mount(m *mount.Mount) error {
	target, err := mountTarget(m.Target)
	if err != nil {
		return err
	}
	if err := checkMountOptions(m); err != nil {
		return err
	}
	field := "HostConfig.Mounts[" + strconv.Quote(clipKey(m.Target)) + "]"
	out := model.Mount{Type: string(m.Type), Target: target, ReadOnly: m.ReadOnly}
	switch m.Type {
	case mount.TypeBind:
		if !path.IsAbs(m.Source) || strings.ContainsRune(m.Source, 0) {
			return invalid("invalid mount config for type \"bind\": invalid mount path: '%.128s' mount path must be absolute", m.Source)
		}
		out.Source = path.Clean(m.Source)
		if o := m.BindOptions; o != nil {
			if out.Propagation = string(o.Propagation); !propagates(o.Propagation) {
				return invalid("invalid propagation mode: %.32s", o.Propagation)
			}
			out.CreateSource = o.CreateMountpoint
			d.refuse(o.NonRecursive, field+".BindOptions.NonRecursive")
			d.refuse(o.ReadOnlyNonRecursive, field+".BindOptions.ReadOnlyNonRecursive")
			d.refuse(o.ReadOnlyForceRecursive, field+".BindOptions.ReadOnlyForceRecursive")
		}
	case mount.TypeTmpfs:
		if m.Source != "" {
			return invalid("invalid mount config for type \"tmpfs\": field Source must not be specified")
		}
		if o := m.TmpfsOptions; o != nil {
			if o.SizeBytes < 0 || o.Mode > 0o7777 {
				return invalid("invalid mount config for type \"tmpfs\": SizeBytes or Mode is out of range")
			}
			out.TmpfsSize, out.TmpfsMode = o.SizeBytes, uint32(o.Mode)
			d.refuse(len(o.Options) > 0, field+".TmpfsOptions.Options")
		}
	case mount.TypeVolume:
		if out, err = d.volumeMount(m, out); err != nil {
			return err
		}
	case mount.TypeImage, mount.TypeNamedPipe, mount.TypeCluster:
		d.refuse(true, field+" (type "+string(m.Type)+")")
		return nil
	default:
		return invalid("mount type unknown: %.32q", m.Type)
	}
	d.out.Spec.Mounts = append(d.out.Spec.Mounts, out)
	return nil
}

// checkMountOptions refuses options that are for another type of mount.
func checkMountOptions(m *mount.Mount) error {
	for of, given := range map[mount.Type]bool{
		mount.TypeBind: m.BindOptions != nil, mount.TypeVolume: m.VolumeOptions != nil,
		mount.TypeTmpfs: m.TmpfsOptions != nil, mount.TypeImage: m.ImageOptions != nil,
	} {
		if given && of != m.Type {
			return invalid("invalid mount config for type %q: options of type %q must not be specified", clipKey(string(m.Type)), of)
		}
	}
	return nil
}

func propagates(p mount.Propagation) bool {
	switch p {
	case "", mount.PropagationRPrivate, mount.PropagationPrivate, mount.PropagationRShared,
		mount.PropagationShared, mount.PropagationRSlave, mount.PropagationSlave:
		return true
	}
	return false
}

// checkTmpfsOptions refuses options that tmpfs(5) does not have.
func checkTmpfsOptions(text string) error {
	if text == "" {
		return nil
	}
	for option := range strings.SplitSeq(text, ",") {
		name, _, _ := strings.Cut(option, "=")
		switch name {
		case "size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "ro", "rw", "exec", "noexec", "suid", "nosuid",
			"dev", "nodev", "sync", "async", "dirsync", "atime", "noatime", "diratime", "nodiratime",
			"relatime", "norelatime", "strictatime", "private", "rprivate", "shared", "rshared", "slave", "rslave":
		default:
			return invalid("Invalid tmpfs option %.32q", option)
		}
	}
	return nil
}

// deviceRule is Docker's: a type, major and minor numbers, and what is allowed.
var deviceRule = regexp.MustCompile(`^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$`)

// devices decides which devices of the node the container may use.
func (d *creation) devices() error {
	h := d.asked.HostConfig
	for _, device := range h.Devices {
		out, err := deviceOf(device)
		if err != nil {
			return err
		}
		d.out.Spec.Devices = append(d.out.Spec.Devices, out)
	}
	for _, rule := range h.DeviceCgroupRules {
		if !deviceRule.MatchString(rule) {
			return invalid("invalid device cgroup rule format: '%.64s'", rule)
		}
	}
	d.out.Asked.DeviceCgroupRules = noneIfEmpty(h.DeviceCgroupRules)
	d.out.Spec.DeviceCgroupRules = d.out.Asked.DeviceCgroupRules
	for _, r := range h.DeviceRequests {
		name := r.Driver
		for _, all := range r.Capabilities {
			name += "[" + strings.Join(all, ",") + "]"
		}
		d.out.Asked.DeviceRequests = append(d.out.Asked.DeviceRequests, name)
	}
	d.refuse(len(h.DeviceRequests) > 0, "HostConfig.DeviceRequests")
	return nil
}

func deviceOf(m container.DeviceMapping) (model.Device, error) {
	out := model.Device{PathOnHost: m.PathOnHost, PathInContainer: m.PathInContainer, Permissions: m.CgroupPermissions}
	if out.PathInContainer == "" {
		out.PathInContainer = out.PathOnHost
	}
	if out.Permissions == "" {
		out.Permissions = "rwm"
	}
	if !path.IsAbs(out.PathOnHost) || !path.IsAbs(out.PathInContainer) || strings.ContainsRune(out.PathOnHost+out.PathInContainer, 0) {
		return out, invalid("invalid value for HostConfig.Devices: %.128q is not an absolute path", m.PathOnHost)
	}
	if strings.Trim(out.Permissions, "rwm") != "" {
		return out, invalid("invalid value for HostConfig.Devices: %.32q is not made of r, w and m", m.CgroupPermissions)
	}
	return out, nil
}
