package dockerapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

// commitContainer makes an image of a container.
func (s *server) commitContainer(c *call) error {
	r, err := c.commitRequest()
	if err != nil {
		return err
	}
	ref := c.query.Get("container")
	if ref == "" {
		return invalid("no container was named: give its name or id as \"container\"")
	}
	id, err := s.Files.Commit(c.ctx(), c.account, ref, r)
	if err != nil {
		return err
	}
	return c.answer(http.StatusCreated, container.CommitResponse{ID: id})
}

func (c *call) commitRequest() (CommitRequest, error) {
	r := CommitRequest{
		Author: c.query.Get("author"), Comment: c.query.Get("comment"), Changes: c.changes(),
		Pause: c.query.Get("pause") == "" || c.query.bool("pause"),
	}
	name, err := c.newImageName("commit to")
	if err != nil {
		return r, err
	}
	r.Name = name
	r.Config, err = c.commitConfig()
	return r, err
}

// changes are the Dockerfile instructions of a commit, one a parameter or one a
// line.
func (c *call) changes() []string {
	var all []string
	for _, text := range c.query.Values["changes"] {
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				all = append(all, line)
			}
		}
	}
	return all
}

// newImageName reads the name of an image that is made, "" for none. The verb
// says what is done with it.
func (c *call) newImageName(verb string) (string, error) {
	repo, tag := c.query.Get("repo"), c.query.Get("tag")
	if repo == "" {
		if tag != "" {
			return "", invalid("invalid value for \"tag\": a tag needs a repository, give it as \"repo\"")
		}
		return "", nil
	}
	named, err := reference.ParseNormalizedNamed(repo)
	if err != nil {
		return "", invalid("invalid reference format: %.128q", repo)
	}
	if _, ok := named.(reference.Digested); ok {
		return "", invalid("cannot %s digest reference", verb)
	}
	if tag != "" {
		if named, err = reference.WithTag(reference.TrimNamed(named), tag); err != nil {
			return "", invalid("invalid tag format: %.140q", tag)
		}
	}
	return reference.TagNameOnly(named).String(), nil
}

// commitConfig reads the configuration that the body may hold; nil where it
// holds none. Fields that say how one container runs and nothing of its image
// have no place in an image.
func (c *call) commitConfig() (*model.ImageConfig, error) {
	body, err := c.readBody()
	if err != nil {
		return nil, err
	}
	if text := strings.TrimSpace(string(body)); text == "" || text == "null" {
		return nil, nil
	}
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	if body, err = compat.RaiseBody(c.route, c.version, body); err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "invalid JSON in the request body")
	}
	var asked container.Config
	if err := unmarshal(body, &asked); err != nil {
		return nil, err
	}
	return imageConfigOf(&asked)
}

func imageConfigOf(asked *container.Config) (*model.ImageConfig, error) {
	if err := checkEnv(asked.Env); err != nil {
		return nil, err
	}
	if err := checkSignal(asked.StopSignal); err != nil {
		return nil, err
	}
	health, err := healthcheckOf(asked.Healthcheck)
	if err != nil {
		return nil, err
	}
	config := &model.ImageConfig{
		User: asked.User, Env: asked.Env, Entrypoint: asked.Entrypoint, Cmd: asked.Cmd, Volumes: noneIfEmpty(sortedKeys(asked.Volumes)),
		WorkingDir: asked.WorkingDir, Labels: asked.Labels, StopSignal: asked.StopSignal, Shell: asked.Shell,
		OnBuild: asked.OnBuild, Healthcheck: health,
	}
	for port := range asked.ExposedPorts {
		config.ExposedPorts = append(config.ExposedPorts, port.String())
	}
	slices.Sort(config.ExposedPorts)
	return config, nil
}
