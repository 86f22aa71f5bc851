package adminapi

import (
	"context"
	"net/http"

	"github.com/spearheadcloud/spearhead/headnode/placement"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/model/affinity"
)

// maxBest bounds how many nodes an explanation shows.
const maxBest = 100

// ExplainRequest asks where a container of an account would go.
type ExplainRequest struct {
	Account string `json:"account"` // login
	// What the container would be created with. All may be left out.
	Image      string            `json:"image,omitempty"`
	Package    string            `json:"package,omitempty"`
	Memory     int64             `json:"memory,omitempty"`    // bytes
	NanoCPUs   int64             `json:"nano_cpus,omitempty"` // billionths of a processor
	Network    string            `json:"network,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Affinities []string          `json:"affinities,omitempty"`
	// Best is how many nodes to show.
	Best int `json:"best,omitempty"`
}

// Explanation is a decision that was not carried out.
type Explanation struct {
	Node       string                `json:"node,omitempty"`    // name of the chosen one; "" if there is none
	Refusal    string                `json:"refusal,omitempty"` // what the user would read
	Considered int                   `json:"considered"`
	Refused    []placement.Count     `json:"refused,omitempty"`
	Best       []placement.Candidate `json:"best,omitempty"`
}

// cpuPeriod is Docker's and the kernel's usual, in microseconds.
const cpuPeriod = 100_000

func (s *server) explain(r *http.Request) (Explanation, error) {
	in, err := decode[ExplainRequest](r)
	if err != nil {
		return Explanation{}, err
	}
	a, ok := s.Store.View().AccountByLogin(in.Account)
	if !ok {
		return Explanation{}, model.Errorf(model.KindNotFound, "no account %q", in.Account)
	}
	asked := model.CreateContainer{Spec: model.ContainerSpec{Image: in.Image, Network: in.Network, Labels: map[string]string{}}}
	asked.Spec.Cmd = []string{"true"} // what it would run does not matter
	for k, v := range in.Labels {
		asked.Spec.Labels[k] = v
	}
	if in.Package != "" {
		asked.Spec.Labels[model.LabelPackage] = in.Package
	}
	asked.Spec.Limits.Memory = in.Memory
	if in.NanoCPUs > 0 {
		asked.Spec.Limits.CPUPeriod, asked.Spec.Limits.CPUQuota = cpuPeriod, in.NanoCPUs/(1_000_000_000/cpuPeriod)
	}
	for _, rule := range in.Affinities {
		asked.Spec.Env = append(asked.Spec.Env, affinity.Variable(rule))
	}
	d, err := s.Explain(r.Context(), a, asked, min(max(in.Best, 1), maxBest))
	e := Explanation{Considered: d.Considered, Refused: d.Refused, Best: d.Best}
	switch {
	case model.IsKind(err, model.KindExhausted):
		e.Refusal = model.UserText(err)
	case err != nil:
		return Explanation{}, err
	case len(d.Best) > 0:
		e.Node = d.Best[0].Name
	}
	return e, nil
}

// Explain tells where a container would go, and why.
func (c *Client) Explain(ctx context.Context, r ExplainRequest) (Explanation, error) {
	return ask[Explanation](ctx, c, http.MethodPost, "/v1/placement/explain", r)
}
