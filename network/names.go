package network

import (
	"net/netip"
	"os"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/resolver"
)

// knowledge is what a container's resolver knows: the networks that the
// container is on, and of those the members of its own account.
type knowledge struct {
	driver *Driver
	box    *sandbox
}

// circle is the networks of a container, the one with the default route first.
type circle struct {
	account  string
	networks []string
}

func circleOf(rec *sandboxRecord) *circle {
	c := &circle{account: rec.Account}
	for _, p := range rec.Ports {
		if p.Primary {
			c.networks = append([]string{p.NetworkID}, c.networks...)
		} else {
			c.networks = append(c.networks, p.NetworkID)
		}
	}
	return c
}

// Lookup implements resolver.Names. The first network that knows the name
// decides; a name may end in that of the network.
func (k knowledge) Lookup(name string) (addresses []netip.Addr, known bool) {
	told, c := k.driver.told.Load(), k.box.circle.Load()
	for _, id := range c.networks {
		n := told.networks[id]
		if n == nil {
			continue
		}
		members := n.names[place{c.account, name}]
		if members == nil {
			short, _ := strings.CutSuffix(name, "."+strings.ToLower(n.Name))
			members = n.names[place{c.account, short}]
		}
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

// Reverse implements resolver.Names.
func (k knowledge) Reverse(a netip.Addr) (name string, known bool) {
	told, c := k.driver.told.Load(), k.box.circle.Load()
	for _, id := range c.networks {
		n := told.networks[id]
		if n == nil {
			continue
		}
		if m := n.owners[a]; m != nil && m.AccountID == c.account {
			name := model.ShortID(m.ContainerID)
			if len(m.Names) > 0 {
				name = m.Names[0]
			}
			return name + "." + n.Name, true
		}
	}
	return "", false
}

// serveNames has the container's resolver do what its record says. The caller
// holds b.mu.
func (d *Driver) serveNames(b *sandbox, ns *os.File) error {
	b.circle.Store(circleOf(&b.rec))
	asks := upstreamOf(&b.rec)
	if b.resolver != nil && asks == b.asks && b.rec.Resolver {
		return nil
	}
	b.close()
	if !b.rec.Resolver {
		return nil
	}
	cfg := resolver.Config{Namespace: ns, Names: knowledge{d, b}, Servers: b.rec.Upstream, Logger: d.cfg.Logger.With("container", b.id)}
	if b.rec.OwnUpstream {
		cfg.Own = d.upstream
	}
	s, err := resolver.Open(cfg)
	if err != nil {
		return err
	}
	b.resolver, b.asks = s, asks
	return nil
}

// resumeNames is serveNames for a container of a former driver's.
func (d *Driver) resumeNames(b *sandbox) error {
	ns, err := b.namespace()
	if err != nil {
		return err
	}
	defer ns.Close()
	return d.serveNames(b, ns)
}

// upstreamOf says in a word whom a container's resolver asks.
func upstreamOf(r *sandboxRecord) string {
	var words []string
	for _, a := range r.Upstream {
		words = append(words, a.String())
	}
	if r.OwnUpstream {
		words = append(words, "own")
	}
	return strings.Join(words, " ")
}
