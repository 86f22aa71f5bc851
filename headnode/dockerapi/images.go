package dockerapi

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

func (s *server) listImages(c *call) error {
	f, err := c.query.filters("before", "dangling", "label", "reference", "since", "until")
	if err != nil {
		return err
	}
	all, err := s.Images.List(c.ctx(), c.account)
	if err != nil {
		return err
	}
	match, err := f.imageRule(all, s.now())
	if err != nil {
		return err
	}
	summaries := []image.Summary{}
	var shared sharedLayers
	if c.query.bool("shared-size") {
		shared = shareLayers(all)
	}
	for i := range all {
		tags, digests := namesOf(&all[i])
		if !match(&all[i], tags) {
			continue
		}
		if patterns := f["reference"]; len(patterns) > 0 {
			if tags, digests = matching(patterns, tags), matching(patterns, digests); len(tags)+len(digests) == 0 {
				continue
			}
		}
		item := imageSummary(&all[i], tags, digests)
		if shared != nil {
			item.SharedSize = shared.ofOthers(&all[i])
		}
		summaries = append(summaries, item)
	}
	slices.SortStableFunc(summaries, func(a, b image.Summary) int { return int(min(max(b.Created-a.Created, -1), 1)) })
	return c.answer(http.StatusOK, summaries)
}

func imageSummary(i *Image, tags, digests []string) image.Summary {
	labels := i.Config.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	return image.Summary{
		ID: i.ID, Created: unixTime(i.Created), Size: i.Size, SharedSize: -1, Containers: int64(i.Containers),
		Labels: labels, RepoTags: tags, RepoDigests: digests,
	}
}

func unixTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// namesOf lists an image's names as users write them: tags, and repositories
// with the digest that they resolved to.
func namesOf(i *Image) (tags, digests []string) {
	tags, digests = []string{}, []string{}
	for _, name := range i.Names {
		named, err := reference.ParseNormalizedNamed(name.Ref)
		if err != nil {
			continue
		}
		digest := name.Digest
		switch named := named.(type) {
		case reference.Tagged:
			tags = append(tags, reference.FamiliarString(named.(reference.Reference)))
		case reference.Digested:
			digest = named.Digest().String()
		}
		if text := reference.FamiliarName(named) + "@" + digest; digest != "" && !slices.Contains(digests, text) {
			digests = append(digests, text)
		}
	}
	slices.Sort(tags)
	slices.Sort(digests)
	return tags, digests
}

// imageRule turns the filters of a list, but "reference", into one test.
func (f filters) imageRule(all []Image, now time.Time) (func(i *Image, tags []string) bool, error) {
	dangling, danglingGiven, err := f.flag("dangling")
	if err != nil {
		return nil, err
	}
	before, err := f.imageTimes("before", all)
	if err != nil {
		return nil, err
	}
	since, err := f.imageTimes("since", all)
	if err != nil {
		return nil, err
	}
	for _, text := range f["until"] {
		t, err := pastTime(text, now)
		if err != nil {
			return nil, err
		}
		before = append(before, t)
	}
	for _, pattern := range f["reference"] {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, model.Errorf(model.KindInvalid, "invalid filter 'reference=%.64s': it is no pattern", pattern)
		}
	}
	return func(i *Image, tags []string) bool {
		if danglingGiven && dangling != (len(tags) == 0) {
			return false
		}
		if slices.ContainsFunc(before, func(t time.Time) bool { return !i.Created.Before(t) }) ||
			slices.ContainsFunc(since, func(t time.Time) bool { return !i.Created.After(t) }) {
			return false
		}
		return f.labels("label", i.Config.Labels)
	}, nil
}

// imageTimes finds when the images that a filter names were made.
func (f filters) imageTimes(filter string, all []Image) ([]time.Time, error) {
	var times []time.Time
	for _, ref := range f[filter] {
		at := slices.IndexFunc(all, func(i Image) bool { return isImage(&i, ref) })
		if at < 0 {
			return nil, model.Errorf(model.KindNotFound, "No such image: %.128s", ref)
		}
		times = append(times, all[at].Created)
	}
	return times, nil
}

func isImage(i *Image, ref string) bool {
	id := strings.TrimPrefix(ref, "sha256:")
	if model.IsIDPrefix(id) && strings.HasPrefix(strings.TrimPrefix(i.ID, "sha256:"), id) {
		return true
	}
	return slices.ContainsFunc(i.Names, func(n model.ImageName) bool { return n.Ref == normalName(ref) })
}

// matching are the names that one of the patterns matches, with or without the
// tag, the digest and the registry that goes without saying. A list shows an
// image by these alone.
func matching(patterns, names []string) []string {
	matches := func(name string) bool {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return false
		}
		forms := []string{name, reference.FamiliarName(named), named.String(), named.Name()}
		return slices.ContainsFunc(patterns, func(pattern string) bool {
			return slices.ContainsFunc(forms, func(form string) bool {
				ok, err := path.Match(pattern, form)
				return ok && err == nil
			})
		})
	}
	return slices.DeleteFunc(names, func(name string) bool { return !matches(name) })
}

// image finds the image that a request is about.
func (s *server) image(c *call) (Image, error) {
	platform, err := c.platform()
	if err != nil {
		return Image{}, err
	}
	found, err := s.Images.Get(c.ctx(), c.account, c.vars["name"])
	if err != nil {
		return Image{}, err
	}
	return found, found.CheckPlatform(c.vars["name"], platform)
}

func (s *server) inspectImage(c *call) error {
	i, err := s.image(c)
	if err != nil {
		return err
	}
	tags, digests := namesOf(&i)
	r := image.InspectResponse{
		ID: i.ID, RepoTags: tags, RepoDigests: digests, Comment: i.Comment, Author: i.Author,
		Architecture: i.Architecture, Variant: i.Variant, Os: i.OS, Size: i.Size,
		RootFS: image.RootFS{Type: "layers", Layers: i.DiffIDs}, Config: imageConfig(&i.Config),
	}
	if !i.Created.IsZero() {
		r.Created = timeText(i.Created)
	}
	for _, name := range i.Names {
		if name.Updated.After(r.Metadata.LastTagTime) {
			r.Metadata.LastTagTime = name.Updated
		}
	}
	return c.answer(http.StatusOK, r)
}

func imageConfig(from *model.ImageConfig) *dockerspec.DockerOCIImageConfig {
	set := func(names []string) map[string]struct{} {
		if len(names) == 0 {
			return nil
		}
		all := map[string]struct{}{}
		for _, name := range names {
			all[name] = struct{}{}
		}
		return all
	}
	return &dockerspec.DockerOCIImageConfig{
		ImageConfig: ocispec.ImageConfig{
			User: from.User, ExposedPorts: set(from.ExposedPorts), Env: from.Env, Entrypoint: from.Entrypoint, Cmd: from.Cmd,
			Volumes: set(from.Volumes), WorkingDir: from.WorkingDir, Labels: from.Labels, StopSignal: from.StopSignal,
		},
		DockerOCIImageConfigExt: dockerspec.DockerOCIImageConfigExt{
			Healthcheck: healthConfig(from.Healthcheck), OnBuild: from.OnBuild, Shell: from.Shell,
		},
	}
}

// imageHistory lists the steps that made the image, newest first. Only the
// newest has an id: the others were never images here.
func (s *server) imageHistory(c *call) error {
	i, err := s.image(c)
	if err != nil {
		return err
	}
	items := []image.HistoryResponseItem{}
	for at := len(i.History) - 1; at >= 0; at-- {
		h := i.History[at]
		item := image.HistoryResponseItem{
			ID: "<missing>", Created: unixTime(h.Created), CreatedBy: h.CreatedBy, Comment: h.Comment, Size: h.Size,
		}
		if len(items) == 0 {
			item.ID = i.ID
			item.Tags, _ = namesOf(&i)
		}
		items = append(items, item)
	}
	return c.answer(http.StatusOK, items)
}

func (s *server) tagImage(c *call) error {
	repo, tag := c.query.Get("repo"), c.query.Get("tag")
	named, err := reference.ParseNormalizedNamed(repo)
	if err != nil || !reference.IsNameOnly(named) {
		return model.Errorf(model.KindInvalid, "invalid reference format: %.128q", repo)
	}
	if tag != "" {
		if _, err := reference.WithTag(named, tag); err != nil {
			return model.Errorf(model.KindInvalid, "invalid tag format: %.140q", tag)
		}
	}
	if err := s.Images.Tag(c.ctx(), c.account, c.vars["name"], repo, tag); err != nil {
		return err
	}
	return c.done(http.StatusCreated)
}

func (s *server) removeImage(c *call) error {
	if err := s.checkRemovedPlatforms(c); err != nil {
		return err
	}
	removed, err := s.Images.Remove(c.ctx(), c.account, c.vars["name"], c.query.bool("force"))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, removedItems(&removed))
}

func removedItems(r *RemovedImage) []image.DeleteResponse {
	items := []image.DeleteResponse{}
	for _, name := range r.Untagged {
		items = append(items, image.DeleteResponse{Untagged: name})
	}
	for _, id := range r.Deleted {
		items = append(items, image.DeleteResponse{Deleted: id})
	}
	return items
}
