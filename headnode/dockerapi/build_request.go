package dockerapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/registry"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// registryConfigHeader carries credentials for all registries that a client
// knows, as base64url of JSON.
const registryConfigHeader = "X-Registry-Config"

// remoteSession is the "remote" of a client that has the context in its session.
const remoteSession = "client-session"

// buildRequest decodes the parameters of a build, and refuses by name those
// that cannot be honoured.
func (c *call) buildRequest() (BuildRequest, error) {
	q := c.query
	r := BuildRequest{
		ID: q.Get("buildid"), Remote: q.Get("remote"), Session: q.Get("session"), Dockerfile: q.Get("dockerfile"),
		Target: q.Get("target"), Platform: q.Get("platform"), NoCache: q.bool("nocache"), Pull: q.bool("pull"),
	}
	if q.Get("version") != "2" && r.Remote != remoteSession {
		r.Session = "" // clients of the older builder open one and do not need it
	}
	for _, decode := range []func(*BuildRequest) error{
		c.refuseBuildOptions, c.buildNames, c.buildFile, c.buildObjects, c.buildNetwork, c.buildLimits, c.buildAuths,
	} {
		if err := decode(&r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// refuseBuildOptions refuses what a builder does not do.
func (c *call) refuseBuildOptions(*BuildRequest) error {
	refused := func(option, why string) error {
		return model.Errorf(model.KindNotImplemented, "the build option %q is not implemented by this server: %s", option, why)
	}
	if c.query.bool("squash") {
		return refused("squash", "build in several stages, and COPY --from what the last one needs")
	}
	for _, limit := range []string{"memory", "memswap", "cpushares", "cpusetcpus", "cpusetmems", "cpuperiod", "cpuquota"} {
		if v := c.query.Get(limit); v != "" && (v != "0" || strings.HasPrefix(limit, "cpuset")) {
			return refused(limit, "builds have the limits of the account's default package")
		}
	}
	if v := c.query.Get("cgroupparent"); v != "" {
		return model.Errorf(model.KindForbidden, "the build option \"cgroupparent\" is not allowed: the server chooses control groups")
	}
	if v := c.query.Get("securityopt"); v != "" && v != "[]" && v != "null" {
		return refused("securityopt", "steps of builds run with the usual profiles")
	}
	if v := c.query.Get("isolation"); v != "" && v != "default" {
		return invalid("invalid isolation (%.32s): only default is supported", v)
	}
	return nil
}

func (c *call) buildNames(r *BuildRequest) error {
	for _, name := range c.query.Values["t"] {
		if name == "" {
			continue
		}
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return invalid("invalid reference format: %.128q cannot name an image", name)
		}
		if _, ok := named.(reference.Digested); ok {
			return invalid("build tag cannot contain a digest")
		}
		if full := reference.TagNameOnly(named).String(); !slices.Contains(r.Names, full) {
			r.Names = append(r.Names, full)
		}
	}
	return nil
}

// familiar is a normalized name as users write it.
func familiar(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarString(named)
}

func trimAlgorithm(id string) string { return strings.TrimPrefix(id, "sha256:") }

func (c *call) buildFile(r *BuildRequest) error {
	if r.Dockerfile == "" {
		return nil
	}
	clean := path.Clean(strings.ReplaceAll(r.Dockerfile, "\\", "/"))
	if path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") {
		return invalid("Forbidden path outside the build context: %.128s ()", r.Dockerfile)
	}
	r.Dockerfile = clean
	return nil
}

// buildObjects decodes the parameters that are JSON.
func (c *call) buildObjects(r *BuildRequest) error {
	args := map[string]*string{}
	var ulimits []*container.Ulimit
	for _, p := range []struct {
		name string
		into any
	}{{"buildargs", &args}, {"labels", &r.Labels}, {"cachefrom", &r.CacheFrom}, {"ulimits", &ulimits}, {"outputs", &r.Outputs}} {
		text := c.query.Get(p.name)
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), p.into); err != nil {
			return invalid("invalid value for %q: it is not JSON of the expected form", p.name)
		}
	}
	r.Args = map[string]string{}
	for name, value := range args {
		if value != nil { // without one it is the Dockerfile's default
			r.Args[name] = *value
		}
	}
	for _, u := range ulimits {
		if u == nil {
			continue
		}
		if u.Hard != -1 && u.Soft > u.Hard {
			return invalid("ulimit soft limit must be less than or equal to hard limit: %s: %d > %d", u.Name, u.Soft, u.Hard)
		}
		r.Ulimits = append(r.Ulimits, model.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	if len(r.Outputs) > 0 && r.Session == "" {
		return invalid("\"outputs\" needs a client with a session: use BuildKit")
	}
	return nil
}

func (c *call) buildNetwork(r *BuildRequest) error {
	switch mode := c.query.Get("networkmode"); mode {
	case "", "default", "bridge":
	case "none":
		r.Network = mode
	case "host":
		return model.Errorf(model.KindForbidden, "the network mode \"host\" is not allowed for builds: they are on the account's network")
	default:
		return model.Errorf(model.KindNotImplemented, "network mode %.64q not supported by builds: use default or none", mode)
	}
	for _, list := range c.query.Values["extrahosts"] {
		hosts := []string{list}
		if strings.HasPrefix(list, "[") {
			if err := json.Unmarshal([]byte(list), &hosts); err != nil {
				return invalid("invalid value for \"extrahosts\": it is not a list")
			}
		}
		for _, h := range hosts {
			name, address, ok := strings.Cut(h, ":")
			if _, err := netip.ParseAddr(strings.Trim(address, "[]")); !ok || name == "" || err != nil {
				return invalid("bad format for add-host: %.128q", h)
			}
			r.ExtraHosts = append(r.ExtraHosts, h)
		}
	}
	return nil
}

func (c *call) buildLimits(r *BuildRequest) error {
	size, missing, err := c.query.int("shmsize")
	if err != nil {
		return err
	}
	if !missing && size < 0 {
		return invalid("invalid value for \"shmsize\": it is negative")
	}
	r.ShmSize = int64(size)
	return nil
}

// buildAuths reads the credentials that came with the request.
func (c *call) buildAuths(r *BuildRequest) error {
	text := c.r.Header.Get(registryConfigHeader)
	if text == "" {
		return nil
	}
	body, err := base64.URLEncoding.DecodeString(text)
	if err != nil {
		if body, err = base64.StdEncoding.DecodeString(text); err != nil {
			return invalid("invalid %s header: it is not base64url of JSON", registryConfigHeader)
		}
	}
	var all map[string]registry.AuthConfig
	if err := json.Unmarshal(body, &all); err != nil {
		// Clients of before 1.8 nest them.
		var nested struct {
			Configs map[string]registry.AuthConfig `json:"configs"`
		}
		if json.Unmarshal(body, &nested) != nil {
			return invalid("invalid %s header: it is not base64url of JSON", registryConfigHeader)
		}
		all = nested.Configs
	}
	r.Auths = make(map[string]wire.RegistryAuth, len(all))
	for host, auth := range all {
		r.Auths[registryHost(host)] = registryAuth(&auth)
	}
	return nil
}

// registryHost is the host of a registry as clients list it, which may be a URL.
func registryHost(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
	name, _, _ = strings.Cut(name, "/")
	if name == "index.docker.io" || name == "docker.io" {
		return "registry-1.docker.io"
	}
	return name
}

// filterText is filters in BuildKit's form, each of which must hold.
func filterText(f filters, names ...string) []string {
	var all []string
	for _, name := range names {
		for _, value := range f[name] {
			operator := "=="
			if name == "id" || name == "parent" {
				operator = "~="
			}
			all = append(all, fmt.Sprintf("%s%s%s", name, operator, value))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return []string{strings.Join(all, ",")}
}
