package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	canonical "unique"

	"github.com/spearheadcloud/spearhead/model"
)

// intern lets a container that has come from the log or a snapshot share with
// the others the texts and labels that many of them have. It takes a fifth off
// the memory of a large data center.
func (t *transaction) intern(c *model.Container) {
	for _, text := range []*string{
		&c.AccountID, &c.NodeID, &c.Package,
		&c.Spec.Image, &c.Spec.ImageID, &c.Spec.ImageDigest, &c.Spec.WorkingDir, &c.Spec.User, &c.Spec.StopSignal,
		&c.Spec.Network, &c.Spec.Restart.Name, &c.Spec.Log.Driver,
	} {
		*text = shared(*text)
	}
	for _, list := range [][]string{c.Spec.Entrypoint, c.Spec.Cmd, c.Spec.Env} {
		for i := range list {
			list[i] = shared(list[i])
		}
	}
	for i := range c.NICs {
		c.NICs[i].NetworkID, c.NICs[i].Interface = shared(c.NICs[i].NetworkID), shared(c.NICs[i].Interface)
	}
	c.Spec.Labels, c.Spec.Log.Options = t.maps.share(c.Spec.Labels), t.maps.share(c.Spec.Log.Options)
}

// sharedMaps are the maps that rows have, by what is in them: even a small one
// takes a third of a kilobyte, and the containers of one service have the same.
// Like all of a row, nobody changes them.
type sharedMaps struct{ known map[string]map[string]string }

// mostMaps bounds what is kept for being shared. When there are more, it begins
// anew: those that are needed are in use.
const mostMaps = 4096

func newSharedMaps() *sharedMaps { return &sharedMaps{known: map[string]map[string]string{}} }

// share returns a map with the same content.
func (s *sharedMaps) share(m map[string]string) map[string]string {
	if len(m) == 0 {
		return m
	}
	var content strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		// With the lengths, no two maps have the same content.
		fmt.Fprintf(&content, "%d %d %s%s", len(k), len(m[k]), k, m[k])
	}
	if known, ok := s.known[content.String()]; ok {
		return known
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[shared(k)] = shared(v)
	}
	if len(s.known) == mostMaps {
		clear(s.known)
	}
	s.known[content.String()] = out
	return out
}

func shared(text string) string { return canonical.Make(text).Value() }
