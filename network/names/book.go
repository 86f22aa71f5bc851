package names

import (
	"net/netip"
	"strings"

	"github.com/spearheadcloud/spearhead/network/resolver"
)

// Network is what a network calls its members.
type Network struct {
	Name    string   `json:"name"`
	Members []Member `json:"members,omitempty"`
}

// Member is one container on a network.
type Member struct {
	Account  string     `json:"account"`
	Address  netip.Addr `json:"address"`
	Address6 netip.Addr `json:"address6,omitzero"`
	// Names are what others find it by; the first one is what it is called.
	Names    []string  `json:"names,omitempty"`
	Services []Service `json:"services,omitempty"`
	// Up says that its names are answered.
	Up bool `json:"up,omitempty"`
}

// Service is something that a member offers, together with others that have a
// service of the same name.
type Service struct {
	Name string `json:"name"`
	// Port is 0 where it is found by address only (RFC 2782 otherwise).
	Port     uint16 `json:"port,omitempty"`
	Priority uint16 `json:"priority,omitempty"`
	Weight   uint16 `json:"weight,omitempty"`
}

// book is the networks of a node, for looking up. It never changes.
type book map[string]*page // by the network's id

// page is one network in the book.
type page struct {
	id       string
	name     string
	names    map[place][]*Member    // by a name in lower case
	services map[place][]offer      // by a service's name in lower case
	owners   map[netip.Addr]*Member // by address
}

// place is a name as one account knows it.
type place struct{ account, name string }

// offer is a service and who offers it.
type offer struct {
	*Member
	Service
}

func newPage(id string, n Network) *page {
	p := &page{id: id, name: n.Name, names: map[place][]*Member{}, services: map[place][]offer{}, owners: map[netip.Addr]*Member{}}
	for i := range n.Members {
		p.add(&n.Members[i])
	}
	return p
}

func (p *page) add(m *Member) {
	p.owners[m.Address] = m
	if m.Address6.IsValid() {
		p.owners[m.Address6] = m
	}
	if !m.Up {
		return
	}
	known := map[string]bool{}
	for _, name := range m.Names {
		name = plain(name)
		if name == "" || known[name] {
			continue
		}
		known[name] = true
		at := place{m.Account, name}
		p.names[at] = append(p.names[at], m)
	}
	for _, s := range m.Services {
		at := place{m.Account, plain(s.Name)}
		p.services[at] = append(p.services[at], offer{m, s})
	}
}

// plain is a name as it is looked up.
func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// members are those that an account finds by a name: a container's, or else a
// service's. The name may end in that of the network.
func (p *page) members(account, name string) (found []*Member) {
	short, _ := strings.CutSuffix(name, "."+strings.ToLower(p.name))
	for _, name := range []string{name, short} {
		if found := p.names[place{account, name}]; found != nil {
			return found
		}
	}
	for _, o := range p.offers(account, name) {
		found = append(found, o.Member)
	}
	return found
}

func (p *page) offers(account, name string) []offer {
	short, _ := strings.CutSuffix(name, "."+strings.ToLower(p.name))
	if found := p.services[place{account, name}]; found != nil {
		return found
	}
	return p.services[place{account, short}]
}

// title is what a member is called beyond its network.
func (p *page) title(m *Member) string {
	if len(m.Names) == 0 {
		return p.name
	}
	return m.Names[0] + "." + p.name
}

// view is what one container's resolver knows: of its networks, the members of
// its own account. It implements resolver.Names.
type view struct {
	house *House
	room  *room
}

// Ready implements resolver.Names.
func (v view) Ready() bool { return v.house.told.Load() != nil }

// pages are the container's networks, the one with the default route first.
func (v view) pages() (who *Container, all []*page) {
	told := *v.house.told.Load()
	who = v.room.who.Load()
	for _, id := range who.Networks {
		if p := told[id]; p != nil {
			all = append(all, p)
		}
	}
	return who, all
}

// Lookup implements resolver.Names. The first network that knows the name
// decides.
func (v view) Lookup(name string) (addresses []netip.Addr, known bool) {
	who, pages := v.pages()
	for _, p := range pages {
		members := p.members(who.Account, who.behind(p.id, name))
		for _, m := range members {
			addresses = append(addresses, m.Address)
			if m.Address6.IsValid() {
				addresses = append(addresses, m.Address6)
			}
		}
		if len(members) > 0 {
			return addresses, true
		}
	}
	return nil, false
}

// Services implements resolver.Names.
func (v view) Services(name string) (all []resolver.Service) {
	who, pages := v.pages()
	for _, p := range pages {
		for _, o := range p.offers(who.Account, name) {
			if o.Port != 0 {
				all = append(all, resolver.Service{Target: p.title(o.Member), Port: o.Port, Priority: o.Priority, Weight: o.Weight})
			}
		}
		if len(all) > 0 {
			return all
		}
	}
	return nil
}

// Reverse implements resolver.Names.
func (v view) Reverse(a netip.Addr) (name string, known bool) {
	who, pages := v.pages()
	for _, p := range pages {
		if m := p.owners[a]; m != nil && m.Account == who.Account {
			return p.title(m), true
		}
	}
	return "", false
}
