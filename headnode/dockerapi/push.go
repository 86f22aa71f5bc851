package dockerapi

import (
	"fmt"

	"github.com/distribution/reference"
)

// pushedTag is what clients that read no text are told of a push.
type pushedTag struct {
	Tag    string
	Digest string
	Size   int64
}

// pushImage answers with a line for each step. Without a tag all tags of the
// repository are pushed, which is what clients before 20.10 always ask for.
func (s *server) pushImage(c *call) error {
	named, err := c.pushReference()
	if err != nil {
		return err
	}
	platform, err := c.platform()
	if err != nil {
		return err
	}
	auth, err := c.registryAuth()
	if err != nil {
		return err
	}
	out := &lines{c: c, first: line{Status: "The push refers to repository [" + named.Name() + "]"}}
	r := PushRequest{Ref: named.String(), Platform: platform, Auth: auth}
	return out.end(s.Transfers.Push(c.ctx(), c.account, r, func(step PushStep) {
		if step.Tag == "" {
			out.layer(step.PullProgress)
			return
		}
		p := step.Pushed
		out.write(line{Status: fmt.Sprintf("%s: digest: %s size: %d", step.Tag, p.Digest, p.Size)})
		out.write(line{Aux: &pushedTag{step.Tag, p.Digest, p.Size}})
	}))
}

func (c *call) pushReference() (reference.Named, error) {
	name, tag := c.vars["name"], c.query.Get("tag")
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, invalid("invalid reference format: %.128q", name)
	}
	if _, ok := named.(reference.Digested); ok {
		return nil, invalid("cannot push a digest reference")
	}
	if tag != "" {
		if named, err = reference.WithTag(reference.TrimNamed(named), tag); err != nil {
			return nil, invalid("invalid tag format: %.140q", tag)
		}
	}
	return named, nil
}
