package dockerapi

import (
	"net/http"
	"strconv"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/wire"
)

// distribution tells what a registry has under a name.
func (s *server) distribution(c *call) error {
	if c.version.Has(compat.NoDistribution) {
		return errPageNotFound
	}
	named, err := reference.ParseNormalizedNamed(c.vars["name"])
	if err != nil {
		return invalid("invalid reference format: %.128q", c.vars["name"])
	}
	auth, err := c.registryAuth()
	if err != nil {
		return err
	}
	found, err := s.Registries.Resolve(c.ctx(), c.account, reference.TagNameOnly(named).String(), auth)
	if err != nil {
		return err
	}
	answer := registry.DistributionInspect{
		Descriptor: ocispec.Descriptor{MediaType: found.MediaType, Digest: digest.Digest(found.Digest), Size: found.Size},
		Platforms:  []ocispec.Platform{},
	}
	for _, p := range found.Platforms {
		answer.Platforms = append(answer.Platforms, ocispec.Platform{
			OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion, OSFeatures: p.OSFeatures,
		})
	}
	return c.answer(http.StatusOK, answer)
}

// maxFound is how many results a search gives at most.
const maxFound = 100

// searchImages asks a registry. What it says of automated builds is not passed
// on: Docker says so of no image any more.
func (s *server) searchImages(c *call) error {
	term := c.query.Get("term")
	if term == "" {
		return invalid("no term was given to search for: give it as \"term\"")
	}
	limit, missing, err := c.query.int("limit")
	if err != nil {
		return err
	}
	if !missing && (limit < 0 || limit > maxFound) {
		return invalid("invalid limit %d: it must be in the range of 1 to %d", limit, maxFound)
	}
	match, err := c.searchRule()
	if err != nil {
		return err
	}
	auth, err := c.registryAuth()
	if err != nil {
		return err
	}
	found, err := s.Registries.Search(c.ctx(), c.account, wire.SearchRequest{Term: term, Limit: limit, Auth: auth})
	if err != nil {
		return err
	}
	results := []registry.SearchResult{}
	for _, f := range found {
		if match(&f) {
			results = append(results, registry.SearchResult{Name: f.Name, Description: f.Description, StarCount: f.Stars, IsOfficial: f.Official})
		}
	}
	return c.answer(http.StatusOK, results)
}

// searchRule turns the filters of a search into one test.
func (c *call) searchRule() (func(*wire.FoundImage) bool, error) {
	f, err := c.query.filters("is-automated", "is-official", "stars")
	if err != nil {
		return nil, err
	}
	automated, _, err := f.flag("is-automated")
	if err != nil {
		return nil, err
	}
	official, officialGiven, err := f.flag("is-official")
	if err != nil {
		return nil, err
	}
	stars := 0
	for _, text := range f["stars"] {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, invalid("invalid filter 'stars=%.40s': it is no whole number", text)
		}
		stars = max(stars, n)
	}
	return func(found *wire.FoundImage) bool {
		return !automated && (!officialGiven || found.Official == official) && found.Stars >= stars
	}, nil
}
