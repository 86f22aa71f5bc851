package adminapi

import (
	"context"
	"net/http"

	"github.com/spearheadcloud/spearhead/headnode/metrics"
)

func (s *server) details(*http.Request) (metrics.Status, error) { return s.Details(), nil }

// Details tells all that the head knows of how it works: each loop, queue and
// gate.
func (c *Client) Details(ctx context.Context) (metrics.Status, error) {
	return ask[metrics.Status](ctx, c, http.MethodGet, "/v1/status/details", nil)
}
