package adminapi

import (
	"context"
	"net/http"

	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/model"
)

// CapacityRequest asks how many more containers fit: of a package, of a size,
// or, if neither is set, of each package that is offered.
type CapacityRequest struct {
	Package string          `json:"package,omitempty"`
	Size    model.Resources `json:"size"`
}

// Capacity is how many more containers of one size fit.
type Capacity struct {
	Package string          `json:"package,omitempty"` // "" is a size that was asked for
	Need    model.Resources `json:"need"`
	Total   int             `json:"total"` // on nodes that are connected
	Nodes   []NodeCapacity  `json:"nodes"`
}

// NodeCapacity is how many of them fit on one node.
type NodeCapacity struct {
	Node      string `json:"node"` // name
	Fits      int    `json:"fits"`
	Connected bool   `json:"connected"`
}

func (s *server) capacity(r *http.Request) ([]Capacity, error) {
	in, err := decode[CapacityRequest](r)
	if err != nil {
		return nil, err
	}
	asked, err := s.sizes(in)
	if err != nil {
		return nil, err
	}
	v := s.Store.View()
	for i := range asked {
		c := &asked[i]
		for _, n := range v.Nodes() {
			connected, _ := s.Seen(n.ID)
			fits := placement.Fits(n, v.Promised(n.ID), v.PromisedTo(n.ID), c.Need)
			c.Nodes = append(c.Nodes, NodeCapacity{Node: n.Name, Fits: fits, Connected: connected})
			if connected {
				c.Total += fits
			}
		}
	}
	return asked, nil
}

// sizes are those that a request asks about.
func (s *server) sizes(in CapacityRequest) ([]Capacity, error) {
	v := s.Store.View()
	switch {
	case in.Package != "":
		p, ok := v.Package(in.Package)
		if !ok {
			return nil, model.Errorf(model.KindNotFound, "there is no package %s; see spearhead package ls", in.Package)
		}
		return []Capacity{{Package: p.Name, Need: packageNeed(&p), Nodes: []NodeCapacity{}}}, nil
	case in.Size != (model.Resources{}):
		if in.Size.Memory < 0 || in.Size.CPU < 0 || in.Size.Disk < 0 {
			return nil, model.Errorf(model.KindInvalid, "a size is negative")
		}
		return []Capacity{{Need: in.Size, Nodes: []NodeCapacity{}}}, nil
	}
	all := []Capacity{}
	for _, p := range v.Packages() {
		if p.Active {
			all = append(all, Capacity{Package: p.Name, Need: packageNeed(p), Nodes: []NodeCapacity{}})
		}
	}
	return all, nil
}

func packageNeed(p *model.Package) model.Resources {
	return model.Resources{Memory: p.Memory, CPU: p.CPUCap, Disk: p.Disk}
}

// Capacity tells how many more containers fit.
func (c *Client) Capacity(ctx context.Context, r CapacityRequest) ([]Capacity, error) {
	return ask[[]Capacity](ctx, c, http.MethodPost, "/v1/capacity", r)
}
