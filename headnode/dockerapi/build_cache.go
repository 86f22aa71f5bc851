package dockerapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/build"

	"github.com/spearheadcloud/spearhead/model"
)

// pruneBuilds removes what the account's builder keeps.
func (s *server) pruneBuilds(c *call) error {
	known := []string{"label", "label!", "until", "unused-for", "id", "parent", "type", "description", "inuse", "shared", "private"}
	f, until, err := s.pruneFilters(c, known...)
	if err != nil {
		return err
	}
	if len(f["label"]) > 0 { // which caches have none of
		return c.answer(http.StatusOK, build.CachePruneReport{})
	}
	r := PruneBuildsRequest{All: c.query.bool("all")}
	if !until.IsZero() {
		r.Unused = s.now().Sub(until)
	}
	for _, value := range f["unused-for"] {
		if r.Unused, err = time.ParseDuration(value); err != nil {
			return invalid("invalid filter 'unused-for=%.40s': it is no duration", value)
		}
	}
	for _, space := range []struct {
		names []string
		into  *int64
	}{
		{[]string{"reserved-space", "keep-storage"}, &r.ReservedSpace}, {[]string{"max-used-space"}, &r.MaxUsedSpace}, {[]string{"min-free-space"}, &r.MinFreeSpace},
	} {
		for _, name := range space.names {
			text := c.query.Get(name)
			if text == "" {
				continue
			}
			if *space.into, err = strconv.ParseInt(text, 10, 64); err != nil || *space.into < 0 {
				return invalid("%s is in bytes and expects an integer, got %.40s", name, text)
			}
		}
	}
	r.Filters = filterText(f, "id", "parent", "type", "description", "inuse", "shared", "private")
	removed, reclaimed, err := s.Builds.PruneBuilds(c.ctx(), c.account, r)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, build.CachePruneReport{CachesDeleted: removed, SpaceReclaimed: uint64(max(reclaimed, 0))})
}

// buildUsage is what the account's builder keeps. One that cannot be asked
// keeps nothing that could be told of.
func (s *server) buildUsage(c *call, verbose bool) (*build.DiskUsage, error) {
	usage := &build.DiskUsage{}
	records, err := s.Builds.BuildCache(c.ctx(), c.account)
	if model.IsKind(err, model.KindUnavailable) || model.IsKind(err, model.KindNotImplemented) || model.IsKind(err, model.KindExhausted) {
		return usage, nil
	}
	if err != nil {
		return nil, err
	}
	usage.TotalCount = int64(len(records))
	for _, r := range records {
		if r.InUse {
			usage.ActiveCount++
		} else if !r.Shared {
			usage.Reclaimable += r.Size
		}
		if !r.Shared { // that is part of an image, and counted there
			usage.TotalSize += r.Size
		}
		if verbose {
			usage.Items = append(usage.Items, build.CacheRecord{
				ID: r.ID, Parents: r.Parents, Type: r.Type, Description: r.Description, InUse: r.InUse, Shared: r.Shared,
				Size: r.Size, CreatedAt: r.Created, LastUsedAt: r.LastUsed, UsageCount: r.UsageCount,
			})
		}
	}
	return usage, nil
}
