package registry

import (
	"net/http"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

// Transport makes requests to one registry, host or host:port, by this policy,
// for those who speak the protocol themselves: they sign requests and follow
// redirects on their own. What is on docker.io is read from its mirrors first.
func (p *Policy) Transport(name string) (http.RoundTripper, error) {
	reached, err := p.endpoint(name, "", Credentials{}, uploadTimeout)
	if err != nil {
		return nil, err
	}
	own := reached.host.Client.Transport
	if address, _ := docker.DefaultHost(mirrored); name != address || len(p.mirrors) == 0 {
		return own, nil
	}
	mirrors, err := p.mirrorHosts(mirrored)
	if err != nil {
		return nil, err
	}
	return mirroredTransport{mirrors, own}, nil
}

// mirroredTransport asks mirrors before the registry. They are asked without
// the user's credentials, and what they do not have is no answer.
type mirroredTransport struct {
	mirrors []endpoint
	own     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (m mirroredTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	rest, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	if !ok || rest == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return m.own.RoundTrip(r)
	}
	for _, mirror := range m.mirrors {
		asked := r.Clone(r.Context())
		asked.URL.Scheme, asked.URL.Host, asked.URL.Path = mirror.host.Scheme, mirror.host.Host, mirror.host.Path+"/"+rest
		asked.Host, asked.RequestURI = mirror.host.Host, ""
		asked.Header.Del("Authorization")
		answer, err := mirror.host.Client.Do(asked)
		if err != nil {
			continue
		}
		if answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusPartialContent {
			answer.Request = r
			return answer, nil
		}
		answer.Body.Close()
	}
	return m.own.RoundTrip(r)
}
