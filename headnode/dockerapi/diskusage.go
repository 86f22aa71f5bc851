package dockerapi

import (
	"net/http"
	"slices"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/system"

	"github.com/spearheadcloud/spearhead/model"
)

// diskUsage tells what the account's images, containers and volumes take of
// disks.
func (s *server) diskUsage(c *call) error {
	wants, err := c.diskUsageTypes()
	if err != nil {
		return err
	}
	verbose := c.query.bool("verbose")
	var usage system.DiskUsage
	if wants(system.ImageObject) {
		if usage.ImageUsage, err = s.imageUsage(c, verbose); err != nil {
			return err
		}
	}
	if wants(system.ContainerObject) {
		if usage.ContainerUsage, err = s.containerUsage(c, verbose); err != nil {
			return err
		}
	}
	if wants(system.VolumeObject) {
		if usage.VolumeUsage, err = s.volumeUsage(c, verbose); err != nil {
			return err
		}
	}
	if wants(system.BuildCacheObject) {
		if usage.BuildCacheUsage, err = s.buildUsage(c, verbose); err != nil {
			return err
		}
	}
	return c.answer(http.StatusOK, usage)
}

func (c *call) diskUsageTypes() (wants func(system.DiskUsageObject) bool, err error) {
	asked := c.query.Values["type"]
	for _, name := range asked {
		switch system.DiskUsageObject(name) {
		case system.ImageObject, system.ContainerObject, system.VolumeObject, system.BuildCacheObject:
		default:
			return nil, invalid("unknown object type: %.40s; use container, image, volume or build-cache", name)
		}
	}
	return func(object system.DiskUsageObject) bool {
		return len(asked) == 0 || slices.Contains(asked, string(object))
	}, nil
}

func (s *server) imageUsage(c *call, verbose bool) (*image.DiskUsage, error) {
	all, err := s.Images.List(c.ctx(), c.account)
	if err != nil {
		return nil, err
	}
	shared := shareLayers(all)
	usage := &image.DiskUsage{TotalCount: int64(len(all))}
	usage.TotalSize, usage.Reclaimable = shared.totals(all)
	for i := range all {
		if all[i].Containers > 0 {
			usage.ActiveCount++
		}
		if verbose {
			tags, digests := namesOf(&all[i])
			item := imageSummary(&all[i], tags, digests)
			item.SharedSize = shared.ofOthers(&all[i])
			usage.Items = append(usage.Items, item)
		}
	}
	return usage, nil
}

// sharedLayers counts how many images have each layer. A layer is known by
// itself and all below it, for only so is it kept once.
type sharedLayers map[string]int

func shareLayers(images []Image) sharedLayers {
	shared := sharedLayers{}
	for i := range images {
		for _, l := range images[i].Layers() {
			shared[l.ChainID]++
		}
	}
	return shared
}

// ofOthers is how much of an image other images have too.
func (s sharedLayers) ofOthers(i *Image) int64 {
	var size int64
	for _, l := range i.Layers() {
		if s[l.ChainID] > 1 {
			size += l.Size
		}
	}
	return size
}

// totals is what all images take together, and how much of it would be free
// without those that no container uses.
func (s sharedLayers) totals(images []Image) (size, reclaimable int64) {
	sizes, used := map[string]int64{}, map[string]bool{}
	for i := range images {
		for _, l := range images[i].Layers() {
			sizes[l.ChainID] = l.Size
			used[l.ChainID] = used[l.ChainID] || images[i].Containers > 0
		}
	}
	for chain, n := range sizes {
		size += n
		if !used[chain] {
			reclaimable += n
		}
	}
	return size, reclaimable
}

func (s *server) containerUsage(c *call, verbose bool) (*container.DiskUsage, error) {
	all, _, err := s.Containers.List(c.ctx(), c.account)
	if err != nil {
		return nil, err
	}
	sizes, err := s.sizes(c, all)
	if err != nil {
		return nil, err
	}
	usage := &container.DiskUsage{TotalCount: int64(len(all))}
	names := s.networkNames()
	for _, found := range all {
		size := sizes[found.ID]
		usage.TotalSize += size.RW
		if status := currentStatus(found); status.Running() || status == model.StatusRestarting {
			usage.ActiveCount++
		} else {
			usage.Reclaimable += size.RW
		}
		if verbose {
			item := summary(c.ctx(), found, statusText(found, s.now()), names)
			item.SizeRw, item.SizeRootFs = size.RW, size.Root
			usage.Items = append(usage.Items, *item)
		}
	}
	return usage, nil
}

// sizes measures containers. One that cannot be measured now has none.
func (s *server) sizes(c *call, of []*model.Container) (map[string]model.ContainerSize, error) {
	ids := make([]string, len(of))
	for i, found := range of {
		ids[i] = found.ID
	}
	return s.Usage.Sizes(c.ctx(), c.account, ids)
}
