package containers

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spearheadcloud/spearhead/headnode/imageconfig"
	"github.com/spearheadcloud/spearhead/model"
)

// mergeImage fills what the request left open in spec from the image's
// configuration, by Docker's rules: a request's entry point drops the image's
// command; environment and labels are joined, the request winning.
func mergeImage(spec *model.ContainerSpec, img *model.Image) error {
	c := &img.Config
	spec.ImageID, spec.ImageDigest = img.ID, img.Digest
	if spec.Entrypoint == nil {
		if spec.Cmd == nil {
			spec.Cmd = slices.Clone(c.Cmd)
		}
		spec.Entrypoint = slices.Clone(c.Entrypoint)
	}
	if len(spec.Entrypoint)+len(spec.Cmd) == 0 {
		return model.Errorf(model.KindInvalid, "no command specified")
	}
	spec.User = cmp.Or(spec.User, c.User)
	spec.WorkingDir = cmp.Or(spec.WorkingDir, c.WorkingDir)
	spec.StopSignal = cmp.Or(spec.StopSignal, c.StopSignal)
	spec.Env = mergeEnv(c.Env, spec.Env)
	spec.Labels = mergeLabels(c.Labels, spec.Labels)
	spec.Ports = mergePorts(c.ExposedPorts, spec.Ports)
	spec.Healthcheck = mergeHealthcheck(spec.Healthcheck, c)
	return nil
}

// mergeHealthcheck returns the check that holds, with the shell that runs it,
// or nil if neither request nor image says what to run.
func mergeHealthcheck(request *model.Healthcheck, image *model.ImageConfig) *model.Healthcheck {
	h := imageconfig.MergeHealthcheck(request, image.Healthcheck)
	if h == nil || len(h.Test) == 0 {
		return nil
	}
	if len(h.Shell) == 0 {
		h.Shell = slices.Clone(image.Shell)
	}
	return h
}

// mergeEnv returns the image's variables with the request's over them. A
// request's name without "=" takes the image's variable away.
func mergeEnv(image, request []string) []string {
	asked := make(map[string]bool, len(request))
	out := make([]string, 0, len(image)+len(request))
	for _, e := range request {
		name, _, _ := strings.Cut(e, "=")
		asked[name] = true
	}
	for _, e := range image {
		if name, _, _ := strings.Cut(e, "="); !asked[name] {
			out = append(out, e)
		}
	}
	for _, e := range request {
		if strings.Contains(e, "=") {
			out = append(out, e)
		}
	}
	return out
}

func mergeLabels(image, request map[string]string) map[string]string {
	if len(image) == 0 {
		return request
	}
	out := maps.Clone(image)
	maps.Copy(out, request)
	return out
}

// mergePorts adds the ports that the image exposes; those that cannot be read
// were never a port of anything and are left out.
func mergePorts(exposed []string, asked []model.Port) []model.Port {
	out := slices.Clone(asked)
	for _, e := range exposed {
		number, proto, _ := strings.Cut(e, "/")
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || n == 0 {
			continue
		}
		p := model.Port{Number: uint16(n), Protocol: cmp.Or(proto, "tcp")}
		if !slices.ContainsFunc(out, func(o model.Port) bool { return o.Number == p.Number && o.Protocol == p.Protocol }) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b model.Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
	})
	return out
}

// publishAll publishes every port, also those that only the image exposes, but
// for those that are to be at a loopback address.
func publishAll(ports []model.Port) {
	for i := range ports {
		if !ports[i].Loopback {
			ports[i].Published = true
		}
	}
}
