package zones

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Labels by which containers say how they want to be found, besides that of their services.
const (
	labelDisable = "triton.cns.disable"
	labelReverse = "triton.cns.reverse_ptr"
)

// ttl is how long others may remember an answer, in seconds.
const ttl = 30

// hidden reports whether a container wants not to be found at all.
func hidden(c *model.Container) bool {
	off, err := strconv.ParseBool(c.Spec.Labels[labelDisable])
	return err == nil && off || c.Phase == model.PhaseReserved || c.State.Status == model.StatusDead
}

// addresses are those by which a container is reached from outside.
func addresses(v *state.View, c *model.Container) (all []netip.Addr) {
	for _, nic := range c.NICs {
		if n, ok := v.Network(nic.NetworkID); !ok || n.Kind != model.NetworkExternal {
			continue
		}
		for _, a := range []netip.Addr{nic.Address.Addr(), nic.Address6.Addr()} {
			if a.IsValid() {
				all = append(all, a)
			}
		}
	}
	return all
}

// records are those of one account, by full name in lower case.
type records map[string][]dns.RR

// recordsOf collects what is told of an account. well reports whether a
// container can be sent users.
func recordsOf(v *state.View, a *model.Account, origin string, well func(*model.Container) bool) records {
	r := records{}
	for _, owner := range []string{model.DNSLabel(a.Login), a.ID} {
		below := owner + "." + origin
		for _, c := range v.Containers(a.ID) {
			reached := addresses(v, c)
			if hidden(c) || len(reached) == 0 {
				continue
			}
			name := model.DNSLabel(c.Name) + ".inst." + below
			for _, alias := range []string{name, model.ShortID(c.ID) + ".inst." + below} {
				r.add(alias, reached)
			}
			if !well(c) {
				continue
			}
			for _, s := range model.ParseServices(c.Spec.Labels[model.LabelServices]) {
				of := s.Name + ".svc." + below
				r.add(of, reached)
				if s.Port != 0 {
					r[of] = append(r[of], &dns.SRV{Hdr: header(of, dns.TypeSRV), Priority: s.Priority, Weight: s.Weight, Port: s.Port, Target: name})
				}
			}
		}
	}
	return r
}

func (r records) add(name string, reached []netip.Addr) {
	for _, a := range reached {
		if a.Is4() {
			r[name] = append(r[name], &dns.A{Hdr: header(name, dns.TypeA), A: a.AsSlice()})
			continue
		}
		r[name] = append(r[name], &dns.AAAA{Hdr: header(name, dns.TypeAAAA), AAAA: a.AsSlice()})
	}
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}

// reverse is the name of an address on an external network: what the container
// asks for, or its own.
func reverse(v *state.View, external []*model.Network, a netip.Addr, origin string) (string, bool) {
	for _, n := range external {
		if !n.Subnet.Contains(a) && !n.Subnet6.Contains(a) {
			continue
		}
		c, ok := v.ContainerByAddress(n.ID, a)
		if !ok || hidden(&c) {
			continue
		}
		if wanted := strings.Trim(c.Spec.Labels[labelReverse], "."); wanted != "" {
			_, valid := dns.IsDomainName(wanted)
			return dns.Fqdn(strings.ToLower(wanted)), valid
		}
		owner, ok := v.Account(c.AccountID)
		return model.DNSLabel(c.Name) + ".inst." + model.DNSLabel(owner.Login) + "." + origin, ok
	}
	return "", false
}

// sorted are all records of all names, for a transfer of the zone.
func (r records) sorted() (all []dns.RR) {
	names := make([]string, 0, len(r))
	for name := range r {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		all = append(all, r[name]...)
	}
	return all
}
