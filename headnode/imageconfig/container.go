package imageconfig

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// OfContainer is the configuration that a container has, by its specification
// and, for what only images have, the image that it was made from.
func OfContainer(spec *model.ContainerSpec, image *model.ImageConfig) model.ImageConfig {
	c := model.ImageConfig{
		User: spec.User, WorkingDir: spec.WorkingDir, StopSignal: spec.StopSignal,
		Env: slices.Clone(spec.Env), Entrypoint: slices.Clone(spec.Entrypoint), Cmd: slices.Clone(spec.Cmd),
		Labels: maps.Clone(spec.Labels), Volumes: slices.Clone(image.Volumes), Shell: slices.Clone(image.Shell),
	}
	for _, p := range spec.Ports {
		c.ExposedPorts = append(c.ExposedPorts, strconv.Itoa(int(p.Number))+"/"+p.Protocol)
	}
	if h := spec.Healthcheck; h != nil {
		own := *h
		own.Shell = nil
		c.Healthcheck = &own
	}
	return c
}

// Merge fills what c leaves open from under, by Docker's rules: an entry point
// of c drops under's command; variables, labels, ports and volumes are joined,
// those of c winning.
func Merge(c, under model.ImageConfig) model.ImageConfig {
	if len(c.Entrypoint) == 0 {
		if len(c.Cmd) == 0 {
			c.Cmd = slices.Clone(under.Cmd)
		}
		if c.Entrypoint == nil {
			c.Entrypoint = slices.Clone(under.Entrypoint)
		}
	}
	c.User = cmp.Or(c.User, under.User)
	c.WorkingDir = cmp.Or(c.WorkingDir, under.WorkingDir)
	c.StopSignal = cmp.Or(c.StopSignal, under.StopSignal)
	c.Healthcheck = MergeHealthcheck(c.Healthcheck, under.Healthcheck)
	if len(c.Shell) == 0 {
		c.Shell = slices.Clone(under.Shell)
	}
	for _, e := range under.Env {
		name, _, _ := strings.Cut(e, "=")
		if !slices.ContainsFunc(c.Env, isVariable(name)) {
			c.Env = append(c.Env, e)
		}
	}
	labels := maps.Clone(under.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, c.Labels)
	c.Labels = labels
	c.ExposedPorts = join(c.ExposedPorts, under.ExposedPorts)
	c.Volumes = join(c.Volumes, under.Volumes)
	return c
}

// MergeHealthcheck fills what h leaves open from the image's. The answer is
// another object than both, or nil if there is none.
func MergeHealthcheck(h, image *model.Healthcheck) *model.Healthcheck {
	if h == nil && image == nil {
		return nil
	}
	var out, under model.Healthcheck
	if h != nil {
		out = *h
	}
	if image != nil {
		under = *image
	}
	if len(out.Test) == 0 {
		out.Test = slices.Clone(under.Test)
	}
	out.Interval = cmp.Or(out.Interval, under.Interval)
	out.Timeout = cmp.Or(out.Timeout, under.Timeout)
	out.StartPeriod = cmp.Or(out.StartPeriod, under.StartPeriod)
	out.StartInterval = cmp.Or(out.StartInterval, under.StartInterval)
	out.Retries = cmp.Or(out.Retries, under.Retries)
	return &out
}

func isVariable(name string) func(string) bool {
	return func(e string) bool {
		other, _, _ := strings.Cut(e, "=")
		return other == name
	}
}

// join returns the sorted values of both lists, each once.
func join(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
