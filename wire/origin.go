package wire

import (
	"context"
	"io"
	"net/http"

	"github.com/spearheadcloud/spearhead/internal/treesync"
)

// originPath is where a node calls the one from which a container comes.
const originPath = "/origins/"

// offered are the arguments of calls about what is offered.
type offered struct {
	Part   string            `json:"part,omitempty"`
	Wants  []treesync.Want   `json:"wants,omitempty"`
	Volume string            `json:"volume,omitempty"`
	Send   SendVolumeRequest `json:"send"`
}

func (c *Client) origin(ctx context.Context, id, call string, in offered) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodPost, originPath+id+call, in, "")
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// OfferedTree implements Origin.
func (c *Client) OfferedTree(ctx context.Context, id, part string) (io.ReadCloser, error) {
	return c.origin(ctx, id, "/tree", offered{Part: part})
}

// OfferedFiles implements Origin.
func (c *Client) OfferedFiles(ctx context.Context, id, part string, wants []treesync.Want) (io.ReadCloser, error) {
	return c.origin(ctx, id, "/files", offered{Part: part, Wants: wants})
}

// OfferedSnapshots implements Origin.
func (c *Client) OfferedSnapshots(ctx context.Context, id, volume string) (names []string, err error) {
	err = c.call(ctx, http.MethodPost, originPath+id+"/snapshots", offered{Volume: volume}, &names)
	return names, err
}

// OfferedStream implements Origin.
func (c *Client) OfferedStream(ctx context.Context, id, volume string, r SendVolumeRequest) (io.ReadCloser, error) {
	return c.origin(ctx, id, "/stream", offered{Volume: volume, Send: r})
}

// originRoutes serves Origin, to nodes.
func (h *handler) originRoutes(mux *http.ServeMux, o Origin) {
	one := "POST " + pathPrefix + originPath + "{id}"
	mux.HandleFunc(one+"/tree", h.originStream(func(ctx context.Context, id string, in offered) (io.ReadCloser, error) {
		return o.OfferedTree(ctx, id, in.Part)
	}))
	mux.HandleFunc(one+"/files", h.originStream(func(ctx context.Context, id string, in offered) (io.ReadCloser, error) {
		return o.OfferedFiles(ctx, id, in.Part, in.Wants)
	}))
	mux.HandleFunc(one+"/stream", h.originStream(func(ctx context.Context, id string, in offered) (io.ReadCloser, error) {
		return o.OfferedStream(ctx, id, in.Volume, in.Send)
	}))
	mux.HandleFunc(one+"/snapshots", answer(h, func(ctx context.Context, id string, in offered) ([]string, error) {
		return o.OfferedSnapshots(ctx, id, in.Volume)
	}))
}

func (h *handler) originStream(open func(context.Context, string, offered) (io.ReadCloser, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in offered
		if !h.decode(w, r, &in) {
			return
		}
		content, err := open(r.Context(), r.PathValue("id"), in)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		defer content.Close()
		h.copyOut(w, r, content)
	}
}
