package registry

import (
	"crypto/tls"

	"github.com/spearheadcloud/spearhead/internal/registrycerts"
	"github.com/spearheadcloud/spearhead/model"
)

// tlsConfig returns what TLS connections to a registry trust and show.
func (p *Policy) tlsConfig(name string, insecure bool) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // the operator listed it
	if err := registrycerts.Add(config, p.certsDir, name); err != nil {
		return nil, model.WrapError(model.KindUnavailable, err, "the node's certificates for registry %s cannot be used; an operator can mend them", name)
	}
	return config, nil
}
