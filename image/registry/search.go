package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/containerd/log"
	"github.com/distribution/reference"

	"github.com/spearheadcloud/spearhead/model"
)

// Found is a repository that a search found.
type Found struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Stars       int    `json:"star_count"`
	Official    bool   `json:"is_official"`
	Automated   bool   `json:"is_automated"`
}

const (
	defaultFound = 25
	maxFound     = 100
	// searchIndex answers searches of docker.io.
	searchIndex = "index.docker.io"
)

// Search asks a registry for repositories by Docker's search, which docker.io
// and a few others have. term may begin with the registry's name; limit is 1
// to 100, 0 is 25. A registry without a search is KindNotImplemented.
func (p *Policy) Search(ctx context.Context, term string, limit int, credentials Credentials) ([]Found, error) {
	if limit == 0 {
		limit = defaultFound
	}
	if limit < 1 || limit > maxFound {
		return nil, model.Errorf(model.KindInvalid, "limit %d is outside the range of [1, %d]", limit, maxFound)
	}
	name, query, err := splitTerm(term)
	if err != nil {
		return nil, err
	}
	address := name
	if name == mirrored {
		address = searchIndex
	}
	own, err := p.endpoint(name, address, credentials, responseTimeout)
	if err != nil {
		return nil, err
	}
	defer own.transport.CloseIdleConnections()
	u := &url.URL{Scheme: own.host.Scheme, Host: own.host.Host, Path: "/v1/search", RawQuery: url.Values{"q": {query}, "n": {strconv.Itoa(limit)}}.Encode()}
	explain := explanation{registry: name, missing: noSearch(name), denied: deniedSearch(name)}
	body, _, err := own.get(log.WithLogger(ctx, silence()), u)
	if err != nil {
		return nil, explain.of(err)
	}
	var answer struct {
		Results []Found `json:"results"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, explain.of(fmt.Errorf("cannot read what the search found: %w", err))
	}
	if len(answer.Results) > limit {
		answer.Results = answer.Results[:limit]
	}
	return answer.Results, nil
}

// splitTerm finds the registry in what a user searches for.
func splitTerm(term string) (registry, query string, err error) {
	if strings.Contains(term, "://") {
		return "", "", model.Errorf(model.KindInvalid, "invalid repository name: repository name (%.128s) should not have a scheme", term)
	}
	registry, query = mirrored, term
	first, rest, ok := strings.Cut(term, "/")
	if ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		registry, query = first, rest
	}
	if registry == searchIndex || registry == mirrored {
		registry, query = mirrored, strings.TrimPrefix(query, "library/")
	}
	// What a reference takes as a registry's name is one.
	if _, err := reference.WithName(registry + "/x"); err != nil {
		return "", "", model.WrapError(model.KindInvalid, err, "invalid registry name: %.128q", registry)
	}
	return registry, query, nil
}

func noSearch(registry string) func(error) error {
	return func(err error) error {
		return model.WrapError(model.KindNotImplemented, err, "registry %s has no search; pull or list repositories by their names there", registry)
	}
}

func deniedSearch(registry string) func(error) error {
	return func(err error) error {
		return model.WrapError(model.KindForbidden, err, "registry %s lets only known users search; use 'docker login %s'", registry, registry)
	}
}
