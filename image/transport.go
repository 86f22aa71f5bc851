package image

import "net/http"

// RegistryTransport makes requests to one registry, host or host:port, as
// pulling from it does, for those who speak the protocol themselves.
func (s *Store) RegistryTransport(host string) (http.RoundTripper, error) {
	return s.policy.Transport(host)
}
