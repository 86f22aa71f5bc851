package dockerapi

import (
	"context"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// fakeVolumes keeps volumes in memory. Each takes a thousand bytes for each
// letter of its name, unless its name says that its node is away.
type fakeVolumes struct{ *fake }

func (f fakeVolumes) CreateVolume(_ context.Context, _ model.Account, v model.Volume) (model.Volume, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return v, f.fail
	}
	if v.Name == "" {
		v.Name, v.Labels = strings.Repeat("77", 32), map[string]string{model.LabelAnonymous: ""}
	}
	if i := f.volume(v.Name); i >= 0 {
		return f.volumes[i].Volume, nil
	}
	v.ID, v.Created = "id-"+v.Name, goldenNow
	f.volumes = append(f.volumes, Volume{Volume: v})
	return v, nil
}

func (f fakeVolumes) volume(name string) int {
	return slices.IndexFunc(f.volumes, func(v Volume) bool { return v.Name == name })
}

func (f fakeVolumes) Volume(_ context.Context, _ model.Account, name string) (Volume, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.volume(name)
	if i < 0 {
		return Volume{}, model.Errorf(model.KindNotFound, "get %s: no such volume", name)
	}
	return f.volumes[i], nil
}

func (f fakeVolumes) ListVolumes(context.Context, model.Account) ([]Volume, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.volumes), nil
}

func (f fakeVolumes) RemoveVolume(ctx context.Context, a model.Account, name string) error {
	v, err := f.Volume(ctx, a, name)
	if err != nil {
		return err
	}
	if v.Containers > 0 {
		return model.Errorf(model.KindConflict, "remove %s: volume is in use - [c]", name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.volumes = slices.DeleteFunc(f.volumes, func(o Volume) bool { return o.Name == name })
	return nil
}

func (f fakeVolumes) PruneVolumes(_ context.Context, _ model.Account, want func(*model.Volume) bool) (removed []string, reclaimed int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.volumes = slices.DeleteFunc(f.volumes, func(v Volume) bool {
		if v.Containers > 0 || !want(&v.Volume) {
			return false
		}
		removed = append(removed, v.Name)
		return true
	})
	return removed, int64(len(removed)) * 1000, f.fail
}

func (f fakeVolumes) VolumeUsage(_ context.Context, vs []Volume) (map[string]model.VolumeUsage, error) {
	usage := map[string]model.VolumeUsage{}
	for _, v := range vs {
		if !strings.HasPrefix(v.Name, "away") {
			usage[v.ID] = model.VolumeUsage{Used: int64(len(v.Name)) * 1000}
		}
	}
	return usage, nil
}
