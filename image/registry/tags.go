package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/distribution/reference"

	"github.com/spearheadcloud/spearhead/model"
)

// maxTags bounds how many tags of one repository are taken.
const maxTags = 100_000

// Tags returns all tags of the reference's repository as the registry orders
// them. The registry itself is asked, not a mirror. An empty repository is
// KindNotFound.
func (c *Client) Tags(ctx context.Context) ([]string, error) {
	ctx = docker.WithScope(c.quiet(ctx), "repository:"+reference.Path(c.ref)+":pull")
	own := c.endpoints[len(c.endpoints)-1]
	next := &url.URL{Scheme: own.host.Scheme, Host: own.host.Host, Path: path.Join(own.host.Path, reference.Path(c.ref), "tags/list")}
	explain := explanation{registry: reference.Domain(c.ref), missing: c.noRepository, denied: c.denied}
	var tags []string
	for next != nil {
		body, header, err := own.get(ctx, next)
		if err != nil {
			return nil, explain.of(err)
		}
		var page struct {
			Tags []string `json:"tags"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, explain.of(fmt.Errorf("cannot read the list of tags: %w", err))
		}
		tags = append(tags, page.Tags...)
		if len(tags) > maxTags {
			return nil, model.Errorf(model.KindInvalid, "repository %s has more than %d tags; name the one you need", reference.FamiliarName(c.ref), maxTags)
		}
		following := nextPage(next, header.Get("Link"))
		if len(page.Tags) == 0 {
			following = nil // a registry that leads on and on ends here
		}
		next = following
	}
	if len(tags) == 0 {
		return nil, c.noRepository(nil)
	}
	return tags, nil
}

func (c *Client) noRepository(err error) error {
	return model.WrapError(model.KindNotFound, err, "repository %s not found: the registry has no tags of it", reference.FamiliarName(c.ref))
}

var nextLink = regexp.MustCompile(`<([^>]*)>\s*;[^,]*\brel="?next"?`)

// nextPage reads the link to the next page of a list (RFC 8288). A link to
// another host is not followed: it could not be asked with the same
// credentials.
func nextPage(current *url.URL, link string) *url.URL {
	found := nextLink.FindStringSubmatch(link)
	if found == nil {
		return nil
	}
	next, err := current.Parse(strings.TrimSpace(found[1]))
	if err != nil || next.Host != current.Host {
		return nil
	}
	next.Scheme = current.Scheme
	return next
}
