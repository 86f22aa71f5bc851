package dockerapi

import (
	"encoding/json"
	"net/http"

	"github.com/distribution/reference"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// pullLine is one line of the answer to a pull. Docker has named progress and
// error twice ever since 2013, and clients read the one or the other.
type pullLine struct {
	Status         string               `json:"status,omitempty"`
	ProgressDetail *jsonstream.Progress `json:"progressDetail,omitempty"`
	Progress       string               `json:"progress,omitempty"`
	ID             string               `json:"id,omitempty"`
	ErrorDetail    *jsonstream.Error    `json:"errorDetail,omitempty"`
	Error          string               `json:"error,omitempty"`
}

// pullImage answers with a line for each step. An error before the first line
// is the answer's status; one after it is the last line.
func (s *server) pullImage(c *call) error {
	named, err := c.pullReference()
	if err != nil {
		return err
	}
	auth, err := c.registryAuth()
	if err != nil {
		return err
	}
	out := &pullStream{c: c, named: named}
	r := PullRequest{Ref: named.String(), Platform: c.query.Get("platform"), Auth: auth}
	result, err := s.Images.Pull(c.ctx(), c.account, r, out.progress)
	if err != nil && !out.begun {
		return err
	}
	if err != nil {
		text := errorText(err, c.id)
		out.line(pullLine{ErrorDetail: &jsonstream.Error{Message: text}, Error: text})
		return err
	}
	out.begin()
	out.line(pullLine{Status: "Digest: " + result.Digest})
	status := "Status: Image is up to date for "
	if result.New {
		status = "Status: Downloaded newer image for "
	}
	out.line(pullLine{Status: status + reference.FamiliarString(named)})
	return nil
}

// pullReference reads the name and the tag, which may be a digest and which
// old clients write into the name. Clients send a tag also where their user
// named none; without one a pull means every tag that the registry has.
func (c *call) pullReference() (reference.Named, error) {
	if c.query.Get("fromSrc") != "" {
		return nil, model.Errorf(model.KindNotImplemented, "importing images (fromSrc) is not implemented by this server: pull one with fromImage")
	}
	for _, name := range []string{"repo", "message", "changes"} {
		if c.query.Get(name) != "" {
			return nil, model.Errorf(model.KindInvalid, "%q is only for importing images (fromSrc), which is not implemented by this server", name)
		}
	}
	name, tag := c.query.Get("fromImage"), c.query.Get("tag")
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, model.Errorf(model.KindInvalid, "invalid reference format: %.128q", name)
	}
	if tag != "" {
		separator := ":"
		if _, err := reference.Parse("x@" + tag); err == nil {
			separator = "@"
		}
		named, err = reference.ParseNormalizedNamed(reference.TrimNamed(named).String() + separator + tag)
		if err != nil {
			return nil, model.Errorf(model.KindInvalid, "invalid tag format: %.140q", tag)
		}
	}
	if reference.IsNameOnly(named) {
		return nil, model.Errorf(model.KindNotImplemented, "pulling all tags of an image is not implemented by this server: name one, such as %s:latest", reference.FamiliarName(named))
	}
	return named, nil
}

// registryAuth reads the credentials that came with the request.
func (c *call) registryAuth() (wire.RegistryAuth, error) {
	header := c.r.Header.Get(registry.AuthHeader)
	if header == "" {
		return wire.RegistryAuth{}, nil
	}
	auth, err := authconfig.Decode(header)
	if err != nil {
		return wire.RegistryAuth{}, model.WrapError(model.KindInvalid, err, "invalid %s header: it is not base64url of JSON", registry.AuthHeader)
	}
	return registryAuth(auth), nil
}

// pullStream writes the lines of a pull.
type pullStream struct {
	c     *call
	named reference.Named
	begun bool
}

func (p *pullStream) begin() {
	if p.begun {
		return
	}
	p.begun = true
	p.c.w.Header().Set("Content-Type", "application/json")
	p.c.w.WriteHeader(http.StatusOK)
	id := ""
	switch named := p.named.(type) {
	case reference.Tagged:
		id = named.Tag()
	case reference.Digested:
		id = named.Digest().String()
	}
	p.line(pullLine{Status: "Pulling from " + reference.Path(p.named), ID: id})
}

// progress tells of a step of one layer.
func (p *pullStream) progress(step wire.PullProgress) {
	p.begin()
	line := pullLine{Status: step.Status, ID: step.Layer, ProgressDetail: &jsonstream.Progress{}}
	if step.Current > 0 || step.Total > 0 {
		line.ProgressDetail.Current, line.ProgressDetail.Total = step.Current, step.Total
		line.Progress = progressText(step.Current, step.Total)
	}
	p.line(line)
}

func (p *pullStream) line(l pullLine) {
	body, err := json.Marshal(l)
	if err != nil {
		return // strings and numbers always encode
	}
	p.c.w.Write(append(body, '\r', '\n'))
	http.NewResponseController(p.c.w).Flush()
}

// progressText is a bar for clients that have none of their own.
func progressText(current, total int64) string {
	if total <= 0 || current > total {
		return units.HumanSize(float64(current))
	}
	const width = 50
	bar := make([]byte, width)
	done := int(float64(current) / float64(total) * width)
	for i := range bar {
		switch {
		case i < done:
			bar[i] = '='
		case i == done:
			bar[i] = '>'
		default:
			bar[i] = ' '
		}
	}
	return "[" + string(bar) + "]  " + units.HumanSize(float64(current)) + "/" + units.HumanSize(float64(total))
}
