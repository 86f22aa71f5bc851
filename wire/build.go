package wire

import (
	"context"
	"net/http"

	"github.com/spearheadcloud/spearhead/model"
)

// Builders is what a head can ask of a node's builders. Each account has one
// of its own on a node, which is started when it is needed and ends when it is
// not: what a build reaches is what its account reaches.
type Builders interface {
	// Builder opens a stream to the account's builder, which speaks BuildKit's
	// gRPC API (HTTP/2 without TLS). KindNotImplemented if builds cannot be
	// carried out on this node. The builder runs as long as a stream is open,
	// and some minutes longer.
	Builder(ctx context.Context, r BuilderRequest) (Stream, error)
	// TakeBuilt makes an image that the account's builder has made one of the
	// node's. KindNotFound if the builder does not have it, or not any more.
	TakeBuilt(ctx context.Context, r BuiltRequest) (model.Image, error)
	// EndBuilder ends the account's builder and all that it does, and with
	// forget also removes what it keeps. There may be none.
	EndBuilder(ctx context.Context, r EndBuilderRequest) error
	// ListBuilders tells which accounts' builders run on the node, or have left
	// their caches there.
	ListBuilders(ctx context.Context) ([]BuilderInfo, error)
}

// BuilderInfo is what a node tells of a builder.
type BuilderInfo struct {
	AccountID string `json:"account_id"`
	Runs      bool   `json:"runs,omitempty"`
}

// BuilderRequest says for whom a builder is and what it may use. What holds
// for a builder that runs already stays as it is, but for the images.
type BuilderRequest struct {
	Account AccountRef   `json:"account"`
	Limits  model.Limits `json:"limits"` // of all steps of all builds together
	// NICs and Networks are how steps reach the outside; without them they
	// reach nothing.
	NICs     []model.NIC     `json:"nics,omitempty"`
	Networks []model.Network `json:"networks,omitempty"`
	// Images are what the account has, for builds to begin with.
	Images []BaseImage `json:"images,omitempty"`
}

// BaseImage is an image of the account under one of its names.
type BaseImage struct {
	Ref     string      `json:"ref"` // normalized, with a tag or digest
	Image   model.Image `json:"image"`
	Holders []Holder    `json:"holders,omitempty"`
	Source  string      `json:"source,omitempty"` // repository@digest to ask a registry for; "" asks none
}

// BuiltRequest names an image that a builder made.
type BuiltRequest struct {
	AccountID string `json:"account_id"`
	Digest    string `json:"digest"` // of its manifest, or of an index of them
}

// EndBuilderRequest names an account's builder.
type EndBuilderRequest struct {
	AccountID string `json:"account_id"`
	Forget    bool   `json:"forget,omitempty"` // its cache too
}

// Builder implements Builders.
func (c *Client) Builder(ctx context.Context, r BuilderRequest) (Stream, error) {
	return c.upgrade(ctx, "/builder", r)
}

// TakeBuilt implements Builders.
func (c *Client) TakeBuilt(ctx context.Context, r BuiltRequest) (img model.Image, err error) {
	err = c.call(ctx, http.MethodPost, "/builder/take", r, &img)
	return img, err
}

// EndBuilder implements Builders.
func (c *Client) EndBuilder(ctx context.Context, r EndBuilderRequest) error {
	return c.call(ctx, http.MethodPost, "/builder/end", r, nil)
}

// ListBuilders implements Builders.
func (c *Client) ListBuilders(ctx context.Context) (all []BuilderInfo, err error) {
	err = c.call(ctx, http.MethodGet, "/builders", nil, &all)
	return all, err
}

func (h *handler) builderRoutes(route func(string, http.HandlerFunc)) {
	route("POST "+pathPrefix+"/builder", h.builder)
	route("POST "+pathPrefix+"/builder/take", answer(h, func(ctx context.Context, _ string, in BuiltRequest) (model.Image, error) {
		return h.agent.TakeBuilt(ctx, in)
	}))
	route("POST "+pathPrefix+"/builder/end", perform(h, func(ctx context.Context, _ string, in EndBuilderRequest) error {
		return h.agent.EndBuilder(ctx, in)
	}))
	route("GET "+pathPrefix+"/builders", answer(h, func(ctx context.Context, _ string, _ none) ([]BuilderInfo, error) { return h.agent.ListBuilders(ctx) }))
}

func (h *handler) builder(w http.ResponseWriter, r *http.Request) {
	var in BuilderRequest
	if !h.decode(w, r, &in) {
		return
	}
	h.upgrade(w, r, func(ctx context.Context) (Stream, error) { return h.agent.Builder(ctx, in) })
}
