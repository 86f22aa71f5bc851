package build

import (
	"context"
	"errors"
	"io"

	control "github.com/moby/buildkit/api/services/control"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
)

// BuildCache implements dockerapi.Builds. An account that has never built has
// no builder to ask.
func (s *Service) BuildCache(ctx context.Context, a model.Account) ([]dockerapi.BuildRecord, error) {
	b, err := s.visit(ctx, a)
	if err != nil || b == nil {
		return nil, err
	}
	defer b.Close()
	usage, err := b.control.DiskUsage(ctx, &control.DiskUsageRequest{})
	if err != nil {
		return nil, model.WrapError(model.KindUnavailable, err, "the builder does not tell what it keeps; try again")
	}
	var records []dockerapi.BuildRecord
	for _, r := range usage.Record {
		record := dockerapi.BuildRecord{
			ID: r.ID, Parents: r.Parents, Type: r.RecordType, Description: r.Description, InUse: r.InUse, Shared: r.Shared,
			Size: r.Size, UsageCount: int(r.UsageCount), Created: r.CreatedAt.AsTime(),
		}
		if used := r.LastUsedAt; used.GetSeconds() > 0 {
			at := used.AsTime()
			record.LastUsed = &at
		}
		records = append(records, record)
	}
	return records, nil
}

// PruneBuilds implements dockerapi.Builds.
func (s *Service) PruneBuilds(ctx context.Context, a model.Account, r dockerapi.PruneBuildsRequest) (removed []string, reclaimed int64, err error) {
	b, err := s.visit(ctx, a)
	if err != nil || b == nil {
		return nil, 0, err
	}
	defer b.Close()
	stream, err := b.control.Prune(ctx, &control.PruneRequest{
		All: r.All, Filter: r.Filters, KeepDuration: int64(r.Unused),
		ReservedSpace: r.ReservedSpace, MaxUsedSpace: r.MaxUsedSpace, MinFreeSpace: r.MinFreeSpace,
	})
	if err != nil {
		return nil, 0, model.WrapError(model.KindUnavailable, err, "the builder cannot be asked; try again")
	}
	for {
		record, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return removed, reclaimed, nil
		}
		if err != nil {
			return removed, reclaimed, model.WrapError(model.KindUnavailable, err, "the builder did not remove all of its cache; try again")
		}
		removed = append(removed, record.ID)
		reclaimed += record.Size
	}
}
