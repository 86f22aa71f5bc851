package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// Encode writes the configuration of an image, which Config reads. Labels that
// no image may have are left out; sizes, id and digest are not part of it.
func Encode(image model.Image) ([]byte, error) {
	var d document
	d.OS, d.Architecture, d.Variant = image.OS, image.Architecture, image.Variant
	d.Author, d.Comment = image.Author, image.Comment
	created := image.Created.UTC()
	d.Created = &created
	d.Config = encodeConfig(image.Config)
	d.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}
	for _, id := range image.DiffIDs {
		d.RootFS.DiffIDs = append(d.RootFS.DiffIDs, digest.Digest(id))
	}
	for _, h := range image.History {
		at := h.Created.UTC()
		d.History = append(d.History, ocispec.History{
			Created: &at, CreatedBy: h.CreatedBy, Author: h.Author, Comment: h.Comment, EmptyLayer: h.EmptyLayer,
		})
	}
	data, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("cannot write the image's configuration: %w", err)
	}
	return data, nil
}

func encodeConfig(c model.ImageConfig) dockerspec.DockerOCIImageConfig {
	var out dockerspec.DockerOCIImageConfig
	out.User, out.WorkingDir, out.StopSignal = c.User, c.WorkingDir, c.StopSignal
	out.Env, out.Entrypoint, out.Cmd = c.Env, c.Entrypoint, c.Cmd
	out.Shell, out.OnBuild = c.Shell, c.OnBuild
	out.ExposedPorts, out.Volumes = set(c.ExposedPorts), set(c.Volumes)
	out.Labels = maps.Clone(c.Labels)
	maps.DeleteFunc(out.Labels, func(key, _ string) bool { return strings.HasPrefix(key, reservedLabels) })
	if h := c.Healthcheck; h != nil {
		out.Healthcheck = &dockerspec.HealthcheckConfig{
			Test: h.Test, Interval: h.Interval, Timeout: h.Timeout,
			StartPeriod: h.StartPeriod, StartInterval: h.StartInterval, Retries: h.Retries,
		}
	}
	return out
}

func set(names []string) map[string]struct{} {
	if len(names) == 0 {
		return nil
	}
	out := make(map[string]struct{}, len(names))
	for _, name := range names {
		out[name] = struct{}{}
	}
	return out
}

func decodeConfig(c dockerspec.DockerOCIImageConfig) model.ImageConfig {
	out := model.ImageConfig{
		User:         c.User,
		ExposedPorts: slices.Sorted(maps.Keys(c.ExposedPorts)),
		Env:          c.Env,
		Entrypoint:   c.Entrypoint,
		Cmd:          c.Cmd,
		Volumes:      slices.Sorted(maps.Keys(c.Volumes)),
		WorkingDir:   c.WorkingDir,
		Labels:       c.Labels,
		StopSignal:   c.StopSignal,
		Shell:        c.Shell,
		OnBuild:      c.OnBuild,
	}
	if h := c.Healthcheck; h != nil {
		out.Healthcheck = &model.Healthcheck{
			Test: h.Test, Interval: h.Interval, Timeout: h.Timeout,
			StartPeriod: h.StartPeriod, StartInterval: h.StartInterval, Retries: h.Retries,
		}
	}
	return out
}
