package dockerapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
)

// route binds a method and a path to a handler. In a path, {name} is one
// segment and {name...}, once, is one or more.
type route struct {
	name   compat.Route
	handle func(*server, *call) error
	open   bool // served without identity
	// stateless routes say nothing that the heads agree on.
	stateless bool
}

// router finds routes by segments of the escaped path, so that %2F is never
// taken for a slash and no path is rewritten. (http.ServeMux redirects
// cleaned paths and has no wildcard of many segments in the middle.)
type router struct {
	byKey map[string][]pattern // by method and first segment
}

type pattern struct {
	route    *route
	segments []string
}

type match struct {
	route *route
	vars  map[string]string
}

func newRouter(routes []route) *router {
	r := &router{byKey: map[string][]pattern{}}
	for i := range routes {
		method, path, _ := strings.Cut(string(routes[i].name), " ")
		segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
		key := method + " " + segments[0]
		r.byKey[key] = append(r.byKey[key], pattern{&routes[i], segments})
	}
	return r
}

// find returns the first route, in the order of the table, that method and the escaped path
// match. A method that the path does not have finds nothing, as with Docker.
func (r *router) find(method, path string) (match, bool) {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if method == "" {
		method = http.MethodGet
	}
	for _, p := range r.byKey[method+" "+segments[0]] {
		if vars, ok := p.match(segments); ok {
			return match{p.route, vars}, true
		}
	}
	return match{}, false
}

func (p *pattern) match(path []string) (map[string]string, bool) {
	if len(path) < len(p.segments) {
		return nil, false
	}
	vars := map[string]string{}
	at := 0
	for i, want := range p.segments {
		name, variable := strings.CutPrefix(want, "{")
		if !variable {
			if at >= len(path) || path[at] != want {
				return nil, false
			}
			at++
			continue
		}
		take := 1
		if strings.HasSuffix(name, "...}") {
			take = len(path) - at - (len(p.segments) - i - 1)
		}
		if take < 1 || at+take > len(path) {
			return nil, false
		}
		value, err := url.PathUnescape(strings.Join(path[at:at+take], "/"))
		if err != nil || value == "" {
			return nil, false
		}
		vars[strings.TrimSuffix(strings.TrimSuffix(name, "}"), "...")] = value
		at += take
	}
	return vars, at == len(path)
}
