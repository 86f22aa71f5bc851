package network

import (
	"context"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/names"
	"github.com/spearheadcloud/spearhead/network/resolver"
)

// resolvers are those of all containers, in this process (names.House) or
// in another one (names.Client).
type resolvers interface {
	Serve(ctx context.Context, id string, c names.Container) (resolver.Ports, error)
	Drop(ctx context.Context, id string) error
	Keep(ctx context.Context, ids []string) error
	Tell(ctx context.Context, networks map[string]names.Network) error
	Stats(ctx context.Context) (names.Stats, error)
	Close() error
}

// openResolvers finds or makes them.
func (d *Driver) openResolvers(ctx context.Context) (resolvers, error) {
	if len(d.cfg.NamesCommand) == 0 {
		house, err := names.NewHouse(d.hostNS, d.cfg.ResolvConf, d.cfg.Logger)
		if err != nil {
			return nil, err
		}
		return house, house.Tell(ctx, nil)
	}
	client, err := names.OpenClient(ctx, names.ClientConfig{
		Command: d.cfg.NamesCommand, RunDir: d.cfg.RunDir, ResolvConf: d.cfg.ResolvConf, Version: d.cfg.Version,
		Restored: d.restoreNames, Logger: d.cfg.Logger,
	})
	if err != nil {
		return nil, err // and not an interface that holds nothing
	}
	return client, nil
}

// Names tells what the resolvers of the node's containers do.
func (d *Driver) Names(ctx context.Context) (names.Stats, error) { return d.resolvers.Stats(ctx) }

// serveNames has the container's resolver do what its record says. The caller
// holds b.mu.
func (d *Driver) serveNames(ctx context.Context, b *sandbox) error {
	if !b.rec.Resolver {
		b.dns = resolver.Ports{}
		return d.resolvers.Drop(ctx, b.id)
	}
	who := names.Container{Namespace: b.pin(), Account: b.rec.Account, Servers: b.rec.Upstream, Own: b.rec.OwnUpstream, Ports: b.dns}
	for _, p := range b.rec.Ports {
		for _, link := range p.Links {
			name, alias, _ := strings.Cut(link, ":")
			who.Links = append(who.Links, names.Link{Network: p.NetworkID, Name: name, Alias: alias})
		}
		if p.Primary {
			who.Networks = append([]string{p.NetworkID}, who.Networks...)
		} else {
			who.Networks = append(who.Networks, p.NetworkID)
		}
	}
	ports, err := d.resolvers.Serve(ctx, b.id, who)
	if err != nil {
		return err
	}
	b.dns = ports
	return nil
}

// restoreNames has resolvers that were lost made again.
func (d *Driver) restoreNames(ctx context.Context) {
	for _, b := range d.allBoxes() {
		if ctx.Err() != nil {
			return
		}
		if err := d.restoreNamesOf(ctx, b); err != nil {
			d.cfg.Logger.Error("cannot resolve names for a container", "op", "names", "container", b.id, "err", err)
		}
	}
}

// restoreNamesOf also leads the container to where its resolver is now, unless
// its wall is still to be made.
func (d *Driver) restoreNamesOf(ctx context.Context, b *sandbox) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.rec.Resolver || b.standing() == nil {
		return nil
	}
	before := b.dns
	if err := d.serveNames(ctx, b); err != nil || b.dns == before || !b.walled {
		return err
	}
	return d.applyWall(b)
}

// phoneBook is what resolvers are told of the networks.
func phoneBook(s model.NetworkState) map[string]names.Network {
	book := map[string]names.Network{}
	for _, view := range s.Networks {
		n := names.Network{Name: view.Network.Name}
		for _, m := range view.Members {
			member := names.Member{Account: m.AccountID, Address: m.Address, Address6: m.Address6, Names: make([]string, 0, len(m.Names)+1), Up: m.Up}
			member.Names = append(append(member.Names, m.Names...), model.ShortID(m.ContainerID))
			for _, s := range m.Services {
				member.Services = append(member.Services, names.Service(s))
			}
			n.Members = append(n.Members, member)
		}
		book[view.Network.ID] = n
	}
	return book
}
