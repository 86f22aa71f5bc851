package dockerapi

import (
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"

	"github.com/spearheadcloud/spearhead/model"
)

// volumeBind reads what -v says of a volume: its name, or "" for one without,
// where it is mounted, and options.
func (d *creation) volumeBind(name, target, options string) error {
	m := model.Mount{Type: model.MountVolume, Source: name, Target: target}
	if err := checkModes(options); err != nil {
		return err
	}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "ro":
			m.ReadOnly = true
		case "nocopy":
			m.NoCopy = true
		case "", "rw", "z", "Z", "cached", "delegated", "consistent", "default":
		default:
			return invalid("invalid mode: %.32s", option)
		}
	}
	if name != "" {
		v, err := newVolume(name, d.asked.HostConfig.VolumeDriver, nil, nil)
		if err != nil {
			return err
		}
		d.wantVolume(v)
	}
	d.out.Spec.Mounts = append(d.out.Spec.Mounts, m)
	return nil
}

// modes are options of -v that answer the same question each.
var modes = [][]string{{"ro", "rw"}, {"z", "Z"}, {"nocopy"}, {"cached", "delegated", "consistent", "default"}}

// checkModes refuses two answers to one question, as Docker does.
func checkModes(options string) error {
	all := strings.Split(options, ",")
	for _, kind := range modes {
		given := 0
		for _, option := range all {
			if slices.Contains(kind, option) {
				given++
			}
		}
		if given > 1 {
			return invalid("invalid mode: %.64s", options)
		}
	}
	return nil
}

// wantVolume notes what to make of a name if the account has no volume of it.
func (d *creation) wantVolume(v model.Volume) {
	if !slices.ContainsFunc(d.out.Volumes, func(o model.Volume) bool { return o.Name == v.Name }) {
		d.out.Volumes = append(d.out.Volumes, v)
	}
}

// volumeMount reads an element of HostConfig.Mounts that is a volume.
func (d *creation) volumeMount(m *mount.Mount, out model.Mount) (model.Mount, error) {
	broken := func(text string) (model.Mount, error) {
		return out, invalid("invalid mount config for type \"volume\": %s", text)
	}
	o := m.VolumeOptions
	if o == nil {
		o = &mount.VolumeOptions{}
	}
	out.Source, out.NoCopy, out.Subpath = m.Source, o.NoCopy, o.Subpath
	driver, options := d.asked.HostConfig.VolumeDriver, map[string]string(nil)
	if o.DriverConfig != nil {
		driver, options = o.DriverConfig.Name, o.DriverConfig.Options
	}
	switch {
	case m.Source == "" && m.ReadOnly:
		return broken("must not set ReadOnly mode when using anonymous volumes")
	case m.Source == "" && o.Subpath != "":
		return broken("must not set Subpath when using anonymous volumes")
	case o.Subpath != "" && (!filepath.IsLocal(o.Subpath) || strings.ContainsRune(o.Subpath, 0)):
		return broken("subpath must be a relative path within the volume")
	case m.Source == "" && len(options)+len(o.Labels) > 0:
		// A volume without a name is drawn one at once, for its options to
		// be found by.
		out.Source, out.Anonymous = model.NewID(), true
	}
	if out.Source == "" {
		return out, nil
	}
	v, err := newVolume(out.Source, driver, options, o.Labels)
	if err != nil {
		return out, err
	}
	if out.Anonymous {
		v.Labels = maps.Clone(v.Labels)
		if v.Labels == nil {
			v.Labels = map[string]string{}
		}
		v.Labels[model.LabelAnonymous] = ""
	}
	d.wantVolume(v)
	return out, nil
}

// plainVolumes are the targets of -v without a source. One that something else
// is mounted at has that.
func (d *creation) plainVolumes(seen map[string]bool) error {
	for _, target := range sortedKeys(d.asked.Volumes) {
		clean, err := mountTarget(target)
		if err != nil {
			return err
		}
		if seen[clean] {
			continue
		}
		seen[path.Clean(clean)] = true
		d.out.Spec.Mounts = append(d.out.Spec.Mounts, model.Mount{Type: model.MountVolume, Target: clean})
	}
	return nil
}
