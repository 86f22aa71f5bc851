package dockerapi

import (
	"encoding/json"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// platform reads the platform that a client chooses, "" for none: JSON, where
// older parameters of that name are os[/arch[/variant]]. An image is for one
// platform here, so that several can be asked for of none.
func (c *call) platform() (string, error) {
	chosen := ""
	for _, text := range c.query.Values["platform"] {
		if text == "" {
			continue
		}
		name, err := platformName(text)
		if err != nil {
			return "", err
		}
		if chosen != "" && chosen != name {
			return "", model.Errorf(model.KindNotImplemented, "several platforms are not implemented by this server, where an image has one: name one as \"platform\"")
		}
		chosen = name
	}
	return chosen, nil
}

// platformName reads a platform as clients write it: JSON with os, architecture
// and perhaps a variant.
func platformName(text string) (string, error) {
	var p ocispec.Platform
	if json.Unmarshal([]byte(text), &p) != nil || p.OS == "" || p.Architecture == "" {
		return "", invalid("failed to parse platform: %.128q is not JSON with os and architecture", text)
	}
	name := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		name += "/" + p.Variant
	}
	return name, nil
}

// checkRemovedPlatforms refuses to remove platforms that an image is not for. An
// image is for one here, and goes with it.
func (s *server) checkRemovedPlatforms(c *call) error {
	var other error
	for _, text := range c.query.Values["platforms"] {
		name, err := platformName(text)
		if err != nil {
			return err
		}
		found, err := s.Images.Get(c.ctx(), c.account, c.vars["name"])
		if err != nil {
			return err
		}
		if other = found.CheckPlatform(c.vars["name"], name); other == nil {
			return nil
		}
	}
	return other
}
