package dockerapi

import (
	"github.com/distribution/reference"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// createImage pulls an image, or makes one of an archive.
func (s *server) createImage(c *call) error {
	if c.query.Get("fromSrc") != "" {
		return s.importImage(c)
	}
	for _, name := range []string{"repo", "message", "changes"} {
		if c.query.Get(name) != "" {
			return invalid("%q is only for importing images (fromSrc)", name)
		}
	}
	return s.pullImage(c)
}

// pullImage answers with a line for each step.
func (s *server) pullImage(c *call) error {
	named, err := c.pullReference()
	if err != nil {
		return err
	}
	auth, err := c.registryAuth()
	if err != nil {
		return err
	}
	out := &lines{c: c}
	isNew := false
	if reference.IsNameOnly(named) {
		isNew, err = s.pullAll(c, named, auth, out)
	} else {
		isNew, err = s.pullOne(c, named, auth, out)
	}
	if err != nil {
		return out.end(err)
	}
	status := "Status: Image is up to date for "
	if isNew {
		status = "Status: Downloaded newer image for "
	}
	out.write(line{Status: status + reference.FamiliarString(named)})
	return nil
}

func (s *server) pullOne(c *call, named reference.Named, auth wire.RegistryAuth, out *lines) (isNew bool, err error) {
	first := pullHeading(named)
	if out.begun {
		out.write(first)
	}
	out.first = first
	r := PullRequest{Ref: named.String(), Platform: c.query.Get("platform"), Auth: auth}
	result, err := s.Images.Pull(c.ctx(), c.account, r, out.layer)
	if err != nil {
		return false, err
	}
	out.write(line{Status: "Digest: " + result.Digest})
	return result.New, nil
}

// pullAll pulls each tag that the registry has of a repository. It ends with
// the first that cannot be pulled.
func (s *server) pullAll(c *call, named reference.Named, auth wire.RegistryAuth, out *lines) (isNew bool, err error) {
	tags, err := s.Registries.Tags(c.ctx(), c.account, named.String(), auth)
	if err != nil {
		return false, err
	}
	if len(tags) == 0 {
		return false, model.Errorf(model.KindNotFound, "manifest for %s not found: the registry has no tag of it", reference.FamiliarName(named))
	}
	for _, tag := range tags {
		tagged, err := reference.WithTag(named, tag)
		if err != nil {
			return isNew, model.Errorf(model.KindUnavailable, "the registry lists %.140q of %s, which is no tag", tag, reference.FamiliarName(named))
		}
		oneIsNew, err := s.pullOne(c, tagged, auth, out)
		if err != nil {
			return isNew, err
		}
		isNew = isNew || oneIsNew
	}
	return isNew, nil
}

func pullHeading(named reference.Named) line {
	id := ""
	switch named := named.(type) {
	case reference.Tagged:
		id = named.Tag()
	case reference.Digested:
		id = named.Digest().String()
	}
	return line{Status: "Pulling from " + reference.Path(named), ID: id}
}

// pullReference reads the name and the tag, which may be a digest and which
// old clients write into the name. Clients send a tag also where their user
// named none; without one a pull means every tag that the registry has.
func (c *call) pullReference() (reference.Named, error) {
	name, tag := c.query.Get("fromImage"), c.query.Get("tag")
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, invalid("invalid reference format: %.128q", name)
	}
	if tag == "" {
		return named, nil
	}
	separator := ":"
	if _, err := reference.Parse("x@" + tag); err == nil {
		separator = "@"
	}
	named, err = reference.ParseNormalizedNamed(reference.TrimNamed(named).String() + separator + tag)
	if err != nil {
		return nil, invalid("invalid tag format: %.140q", tag)
	}
	return named, nil
}
