package image

import (
	"context"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/spearheadcloud/spearhead/image/registry"
)

// maxSources is how many repositories of one registry are remembered for a
// layer.
const maxSources = 8

// sources returns the labels of content that tell what repositories it is in.
func sources(labels map[string]string) map[string]string {
	found := make(map[string]string)
	for key, value := range labels {
		if strings.HasPrefix(key, registry.SourceLabel) {
			found[key] = value
		}
	}
	return found
}

// noteSource remembers that a layer is in ref's repository, so that a push to
// another one of the same registry need not send it, and that the registry has
// its bytes (prove). It only saves work, so an
// error is no reason to fail.
func (s *Store) noteSource(ctx context.Context, layer digest.Digest, ref reference.Named) {
	if ref == nil {
		return
	}
	info, err := s.content.Info(ctx, layer)
	if err != nil {
		s.log.Error("cannot read what is known of a layer", "op", "push", "err", err)
		return
	}
	key, repository := registry.KnownIn(ref)
	var known []string
	if text := info.Labels[key]; text != "" {
		known = strings.Split(text, ",")
	}
	given := registry.GivenBy(ref)
	if _, ok := info.Labels[given]; ok && slices.Contains(known, repository) {
		return
	}
	if known = append(slices.DeleteFunc(known, func(k string) bool { return k == repository }), repository); len(known) > maxSources {
		known = known[len(known)-maxSources:]
	}
	update := content.Info{Digest: layer, Labels: map[string]string{key: strings.Join(known, ","), given: "yes"}}
	if _, err := s.content.Update(ctx, update, "labels."+key, "labels."+given); err != nil {
		s.log.Error("cannot remember where a layer is", "op", "push", "err", err)
	}
}
