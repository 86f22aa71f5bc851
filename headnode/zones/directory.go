package zones

import (
	"time"

	"github.com/miekg/dns"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// directory is what each question would have to look for among all accounts and
// networks. It is used for a moment: who asks for names that do not exist, as
// fast as can be, makes no work of it.
type directory struct {
	at       time.Time
	owners   map[string]string // ids of accounts, by their names in the zone
	external []*model.Network
}

// known is the directory of this moment, or of one that is not long ago.
func (s *Server) known(v *state.View) directory {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.directory.owners != nil && now.Sub(s.directory.at) < remembered {
		return s.directory
	}
	d := directory{at: now, owners: map[string]string{}}
	// An account's own name comes before what another's becomes in the zone.
	for _, name := range []func(*model.Account) string{
		func(a *model.Account) string { return model.DNSLabel(a.Login) },
		func(a *model.Account) string { return a.Login },
		func(a *model.Account) string { return a.ID },
	} {
		for _, a := range v.Accounts() {
			d.owners[name(a)] = a.ID
		}
	}
	for _, n := range v.Networks() {
		if n.Kind == model.NetworkExternal {
			d.external = append(d.external, n)
		}
	}
	s.directory = d
	return d
}

// targets are the addresses of those whom SRV records name, so that nobody has
// to ask for them (RFC 2782).
func (s *Server) targets(v *state.View, answers []dns.RR) (more []dns.RR) {
	for _, rr := range answers {
		srv, ok := rr.(*dns.SRV)
		if !ok {
			continue
		}
		found, _ := s.lookup(v, srv.Target)
		for _, a := range found {
			if kind := a.Header().Rrtype; kind == dns.TypeA || kind == dns.TypeAAAA {
				more = append(more, a)
			}
		}
	}
	return more
}
