package dockerapi

import (
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/moby/moby/api/types/volume"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

// mountpoint is where clients are told that a volume lies. Paths of nodes mean
// nothing to them.
func mountpoint(name string) string { return "/volumes/" + name }

// describeVolume is a volume in Docker's form.
func describeVolume(v *model.Volume) volume.Volume {
	return volume.Volume{
		Name: v.Name, Driver: v.Driver, Scope: "local", Mountpoint: mountpoint(v.Name),
		Labels: v.Labels, Options: v.Options, CreatedAt: v.Created.UTC().Format(time.RFC3339),
	}
}

func (s *server) createVolume(c *call) error {
	var asked volume.CreateRequest
	if _, err := c.decode(&asked); err != nil {
		return err
	}
	if asked.ClusterVolumeSpec != nil {
		return model.Errorf(model.KindNotImplemented, "this version does not support ClusterVolumeSpec; leave it out")
	}
	v, err := newVolume(asked.Name, asked.Driver, asked.DriverOpts, asked.Labels)
	if err != nil {
		return err
	}
	if v, err = s.Volumes.CreateVolume(c.ctx(), c.account, v); err != nil {
		return err
	}
	return c.answer(http.StatusCreated, describeVolume(&v))
}

// inspectVolume tells what the volume takes too, where its node can be asked.
func (s *server) inspectVolume(c *call) error {
	v, err := s.Volumes.Volume(c.ctx(), c.account, c.vars["name"])
	if err != nil {
		return err
	}
	usage, err := s.Volumes.VolumeUsage(c.ctx(), []Volume{v})
	if err != nil {
		return err
	}
	d := describeVolume(&v.Volume)
	d.UsageData = usageOf(&v, usage)
	return c.answer(http.StatusOK, d)
}

// usageOf is what a volume takes; -1 stands for what is not known.
func usageOf(v *Volume, usage map[string]model.VolumeUsage) *volume.UsageData {
	data := &volume.UsageData{RefCount: int64(v.Containers), Size: -1}
	if used, ok := usage[v.ID]; ok {
		data.Size = used.Used
	}
	return data
}

func (s *server) listVolumes(c *call) error {
	f, err := c.query.filters("dangling", "driver", "label", "name")
	if err != nil {
		return err
	}
	matches, err := f.volumeRule()
	if err != nil {
		return err
	}
	all, err := s.Volumes.ListVolumes(c.ctx(), c.account)
	if err != nil {
		return err
	}
	list := volume.ListResponse{Volumes: []volume.Volume{}}
	for i := range all {
		if matches(&all[i]) {
			list.Volumes = append(list.Volumes, describeVolume(&all[i].Volume))
		}
	}
	return c.answer(http.StatusOK, list)
}

// volumeRule turns the filters of a list into one test.
func (f filters) volumeRule() (func(*Volume) bool, error) {
	dangling, given, err := f.flag("dangling")
	if err != nil {
		return nil, err
	}
	var names []*regexp.Regexp
	for _, text := range f["name"] {
		if len(text) > 1024 {
			return nil, invalid("invalid filter 'name': the expression is longer than 1024 characters")
		}
		rule, err := regexp.Compile(text)
		if err != nil {
			return nil, invalid("invalid filter 'name=%.40s': it is no regular expression", text)
		}
		names = append(names, rule)
	}
	return func(v *Volume) bool {
		named := func(r *regexp.Regexp) bool { return r.MatchString(v.Name) }
		return (len(names) == 0 || slices.ContainsFunc(names, named)) &&
			(len(f["driver"]) == 0 || slices.Contains(f["driver"], v.Driver)) &&
			f.labels("label", v.Labels) && (!given || dangling == (v.Containers == 0))
	}, nil
}

// removeVolume: one that is not there is no error to a client that insists.
func (s *server) removeVolume(c *call) error {
	err := s.Volumes.RemoveVolume(c.ctx(), c.account, c.vars["name"])
	if err != nil && !(model.IsKind(err, model.KindNotFound) && c.query.bool("force")) {
		return err
	}
	return c.done(http.StatusNoContent)
}

// updateVolume can only change volumes of a swarm, as with Docker.
func (s *server) updateVolume(*call) error {
	return model.Errorf(model.KindUnavailable, "volume update only valid for cluster volumes, but swarm is unavailable")
}

// pruneVolumes removes what no container mounts: of the volumes without a name,
// or with all=1, and for older clients always, of all.
func (s *server) pruneVolumes(c *call) error {
	f, _, err := s.pruneFilters(c, "all", "label", "label!")
	if err != nil {
		return err
	}
	all, _, err := f.flag("all")
	if err != nil {
		return err
	}
	all = all || c.version.Has(compat.PruneAllVolumes)
	removed, reclaimed, err := s.Volumes.PruneVolumes(c.ctx(), c.account, func(v *model.Volume) bool {
		return (all || v.Anonymous()) && f.labels("label", v.Labels) && f.withoutLabels("label!", v.Labels)
	})
	if err != nil {
		return err
	}
	if removed == nil {
		removed = []string{}
	}
	return c.answer(http.StatusOK, volume.PruneReport{VolumesDeleted: removed, SpaceReclaimed: uint64(reclaimed)})
}

// volumeUsage is what the account's volumes take together. One that no container
// mounts could be removed.
func (s *server) volumeUsage(c *call, verbose bool) (*volume.DiskUsage, error) {
	all, err := s.Volumes.ListVolumes(c.ctx(), c.account)
	if err != nil {
		return nil, err
	}
	usage, err := s.Volumes.VolumeUsage(c.ctx(), all)
	if err != nil {
		return nil, err
	}
	sum := &volume.DiskUsage{TotalCount: int64(len(all))}
	for i := range all {
		used := usage[all[i].ID].Used
		sum.TotalSize += used
		if all[i].Containers > 0 {
			sum.ActiveCount++
		} else {
			sum.Reclaimable += used
		}
		if verbose {
			item := describeVolume(&all[i].Volume)
			item.UsageData = usageOf(&all[i], usage)
			sum.Items = append(sum.Items, item)
		}
	}
	return sum, nil
}
