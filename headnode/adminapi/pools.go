package adminapi

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// NetworkPool is a pool of networks; its networks and accounts are named as
// operators name them.
type NetworkPool struct {
	Name     string   `json:"name"`
	Networks []string `json:"networks"`           // names, the preferred one first
	Accounts []string `json:"accounts,omitempty"` // logins; none is all
	Default  bool     `json:"default,omitempty"`
	Free     []int64  `json:"free,omitempty"` // addresses that are left of each network; of answers only
}

// Publish says where published ports of containers are reached.
type Publish struct {
	Login   string        `json:"login,omitempty"` // an account's; "" is the data center's
	Publish model.Publish `json:"publish"`
}

func (s *server) networkRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/networks/pools", answer(s, s.pools))
	mux.HandleFunc("PUT /v1/networks/pools", answer(s, s.putPool))
	mux.HandleFunc("DELETE /v1/networks/pools/{name}", answer(s, s.removePool))
	mux.HandleFunc("GET /v1/publish", answer(s, s.publish))
	mux.HandleFunc("PUT /v1/publish", answer(s, s.putPublish))
}

func (s *server) pools(*http.Request) ([]NetworkPool, error) {
	v := s.Store.View()
	all := []NetworkPool{}
	for _, p := range v.NetworkPools() {
		shown := NetworkPool{Name: p.Name, Default: p.Default}
		for _, id := range p.Networks {
			n, ok := v.Network(id)
			if !ok {
				continue
			}
			shown.Networks = append(shown.Networks, n.Name)
			shown.Free = append(shown.Free, freeAddresses(v, &n))
		}
		for _, id := range p.Accounts {
			if a, ok := v.Account(id); ok {
				shown.Accounts = append(shown.Accounts, a.Login)
			}
		}
		all = append(all, shown)
	}
	return all, nil
}

// freeAddresses is how many IPv4 addresses of a network's range are nobody's.
func freeAddresses(v *state.View, n *model.Network) int64 {
	free := int64(0)
	for a := n.First; a.IsValid() && !n.Last.Less(a); a = a.Next() {
		if a != n.Gateway && !n.Reserves(a) && !v.AddressUsed(n.ID, a) {
			free++
		}
	}
	return free
}

func (s *server) putPool(r *http.Request) (NetworkPool, error) {
	in, err := decode[NetworkPool](r)
	if err != nil {
		return in, err
	}
	v := s.Store.View()
	p := model.NetworkPool{ID: model.NewID(), Name: in.Name, Default: in.Default}
	if old, ok := v.NetworkPoolByName(in.Name); ok {
		p.ID = old.ID
	}
	for _, name := range in.Networks {
		n, ok := v.NetworkByName(name)
		if !ok {
			return in, model.Errorf(model.KindNotFound, "no network %.64q of the data center; list them with: spearhead network ls", name)
		}
		p.Networks = append(p.Networks, n.ID)
	}
	for _, login := range in.Accounts {
		a, ok := v.AccountByLogin(login)
		if !ok {
			return in, model.Errorf(model.KindNotFound, "no account %q", login)
		}
		p.Accounts = append(p.Accounts, a.ID)
	}
	_, err = s.Store.Propose(r.Context(), command.PutNetworkPool{Pool: p})
	return in, err
}

func (s *server) removePool(r *http.Request) (none, error) {
	name := r.PathValue("name")
	p, ok := s.Store.View().NetworkPoolByName(name)
	if !ok {
		return none{}, model.Errorf(model.KindNotFound, "no network pool %.64q; list them with: spearhead network pool ls", name)
	}
	_, err := s.Store.Propose(r.Context(), command.RemoveNetworkPool{ID: p.ID})
	return none{}, err
}

// publish lists the data center's setting, and those of accounts that have one.
func (s *server) publish(*http.Request) ([]Publish, error) {
	v := s.Store.View()
	all := []Publish{{Publish: v.PublishOf(&model.Account{})}}
	for _, a := range v.Accounts() {
		if a.Publish != model.PublishDefault {
			all = append(all, Publish{Login: a.Login, Publish: a.Publish})
		}
	}
	return all, nil
}

func (s *server) putPublish(r *http.Request) (none, error) {
	in, err := decode[Publish](r)
	if err != nil {
		return none{}, err
	}
	if err := model.CheckPublish(in.Publish); err != nil {
		return none{}, err
	}
	if in.Login == "" {
		_, err := s.Store.Propose(r.Context(), command.SetSetting{Name: model.SettingPublish, Value: string(in.Publish)})
		return none{}, err
	}
	a, ok := s.Store.View().AccountByLogin(in.Login)
	if !ok {
		return none{}, model.Errorf(model.KindNotFound, "no account %q", in.Login)
	}
	_, err = s.Store.Propose(r.Context(), command.SetAccountPublish{AccountID: a.ID, Publish: in.Publish})
	return none{}, err
}

// NetworkPools lists the pools of networks.
func (c *Client) NetworkPools(ctx context.Context) ([]NetworkPool, error) {
	return ask[[]NetworkPool](ctx, c, http.MethodGet, "/v1/networks/pools", nil)
}

// PutNetworkPool makes a pool of networks, or replaces the one of that name.
func (c *Client) PutNetworkPool(ctx context.Context, p NetworkPool) error {
	return c.call(ctx, http.MethodPut, "/v1/networks/pools", p, nil)
}

// RemoveNetworkPool removes a pool; its networks and what is on them stay.
func (c *Client) RemoveNetworkPool(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/v1/networks/pools/"+url.PathEscape(name), nil, nil)
}

// Publish tells where ports are published: the data center's setting first,
// then those of accounts that have one of their own.
func (c *Client) Publish(ctx context.Context) ([]Publish, error) {
	return ask[[]Publish](ctx, c, http.MethodGet, "/v1/publish", nil)
}

// SetPublish decides where ports of containers are published that are made from
// then on.
func (c *Client) SetPublish(ctx context.Context, p Publish) error {
	return c.call(ctx, http.MethodPut, "/v1/publish", p, nil)
}
