package registry

import "net/http"

// Transport makes requests to one registry, host or host:port, by this policy,
// for those who speak the protocol themselves: they sign requests and follow
// redirects on their own.
func (p *Policy) Transport(name string) (http.RoundTripper, error) {
	reached, err := p.endpoint(name, "", Credentials{}, uploadTimeout)
	if err != nil {
		return nil, err
	}
	return reached.host.Client.Transport, nil
}
