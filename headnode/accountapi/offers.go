package accountapi

import (
	"context"
	"net/netip"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
)

// Networks are those that the account's containers may be on.
type Networks interface {
	Networks(ctx context.Context, a model.Account) ([]model.Network, error)
	NetworkPools(ctx context.Context, a model.Account) ([]dockerapi.NetworkPool, error)
}

// packages are those that the account may have. Whom else they are for, and
// which nodes, is the operator's business.
func (s *server) packages(c *call) (any, error) {
	all := []model.Package{}
	for _, p := range s.Store.View().Packages() {
		if p.OfferedTo(c.account.ID) {
			offered := *p
			offered.Owners, offered.Traits = nil, nil
			all = append(all, offered)
		}
	}
	return all, nil
}

func (s *server) networks(c *call) (any, error) {
	networks, err := s.Networks.Networks(c.Context(), c.account)
	if err != nil {
		return nil, err
	}
	pools, err := s.Networks.NetworkPools(c.Context(), c.account)
	if err != nil {
		return nil, err
	}
	all := []Network{}
	for i := range networks {
		n := &networks[i]
		one := Network{ID: n.ID, Name: n.Name, Kind: string(n.Kind), Own: n.AccountID != "", Default: n.Default}
		one.addAddresses(n)
		all = append(all, one)
	}
	for _, p := range pools {
		one := Network{ID: p.ID, Name: p.Name, Kind: KindPool, Default: p.Default}
		for i := range p.Networks {
			one.addAddresses(&p.Networks[i])
		}
		all = append(all, one)
	}
	return all, nil
}

func (n *Network) addAddresses(of *model.Network) {
	for _, subnet := range []netip.Prefix{of.Subnet, of.Subnet6} {
		if subnet.IsValid() {
			n.Subnets = append(n.Subnets, subnet.String())
		}
	}
	for _, gateway := range []netip.Addr{of.Gateway, of.Gateway6} {
		if gateway.IsValid() {
			n.Gateways = append(n.Gateways, gateway.String())
		}
	}
}

func (s *server) usage(c *call) (any, error) {
	return Usage{Login: c.account.Login, Limits: c.account.Limits, Used: s.Store.View().Used(c.account.ID)}, nil
}
