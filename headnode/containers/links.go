package containers

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// target is a container that a new one is linked to.
type target struct {
	alias     string
	container model.Container // as its users call it
	address   string
}

// findLinks resolves NAME:ALIAS to the account's own containers. A link that is
// there twice is one.
func (p *plan) findLinks(v *state.View) error {
	byAlias := map[string]string{}
	for _, text := range p.request.Asked.Links {
		name, alias, err := parseLink(text)
		if err != nil {
			return err
		}
		other, err := p.findOther(v, name)
		if err != nil {
			return model.Errorf(model.KindInvalid, "could not get container for %s: %s", name, model.UserText(err))
		}
		if id, taken := byAlias[alias]; taken {
			if id != other.ID {
				return model.Errorf(model.KindInvalid, "conflicting links: the alias %s is given to two containers; choose another", alias)
			}
			continue
		}
		byAlias[alias] = other.ID
		address, err := linkAddress(v, &other)
		if err != nil {
			return err
		}
		p.links = append(p.links, target{alias, other, address})
	}
	p.request.Spec.Links = linksOf(p.links, p.request.Name) // for its size; the name may be drawn later
	return nil
}

// parseLink reads NAME[:ALIAS], and what inspect says of a link:
// /NAME:/CONTAINER/ALIAS.
func parseLink(text string) (name, alias string, err error) {
	name, alias, named := strings.Cut(text, ":")
	if text == "" {
		return "", "", model.Errorf(model.KindInvalid, "empty string specified for links")
	}
	if name == "" || named && alias == "" || strings.Contains(alias, ":") {
		return "", "", model.Errorf(model.KindInvalid, "bad format for links: %.128s", text)
	}
	if !named {
		alias = name
	}
	if strings.HasPrefix(name, "/") {
		name, alias = name[1:], path.Base(alias)
	}
	if err := model.CheckContainerName(alias + "x"); err != nil { // one letter is enough for an alias
		return "", "", model.Errorf(model.KindInvalid, "bad format for links: the alias %.64q cannot be a host name", alias)
	}
	return name, alias, nil
}

// linkAddress is that of a container or of the one whose network it shares.
func linkAddress(v *state.View, c *model.Container) (string, error) {
	owner := *c
	for range maxShared {
		id, shared := strings.CutPrefix(owner.Spec.Network, "container:")
		if !shared {
			break
		}
		owner, _ = v.Container(id)
	}
	if owner.Spec.Network == "host" {
		return "", model.Errorf(model.KindInvalid, "conflicting options: host type networking can't be used with links. This would result in undefined behavior")
	}
	i := slices.IndexFunc(owner.NICs, func(n model.NIC) bool { return n.Primary })
	if i < 0 {
		return "", model.Errorf(model.KindInvalid, "Cannot link to %s, as it has no network", c.Name)
	}
	return owner.NICs[i].Address.Addr().String(), nil
}

// maxShared bounds how many containers a network is looked for through.
const maxShared = 8

// linksOf are the links of a new container of that name.
func linksOf(targets []target, own string) []model.Link {
	links := make([]model.Link, 0, len(targets))
	for _, t := range targets {
		c := &t.container
		links = append(links, model.Link{
			ContainerID: c.ID, Name: c.Name, Alias: t.alias, Address: t.address,
			Hosts: model.LinkHosts(t.alias, c.Spec.Hostname, c.Name),
			Env:   linkEnv(own, t),
		})
	}
	return slices.Clip(links)
}

// linkEnv is what Docker's links put into the environment: the lowest port,
// each port, runs of three ports and more, the link's name, and the other
// container's own variables.
func linkEnv(own string, t target) []string {
	prefix, ports := model.LinkVariable(t.alias), slices.Clone(t.container.Spec.Ports)
	slices.SortFunc(ports, func(a, b model.Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
	})
	url := func(p model.Port) string { return fmt.Sprintf("%s://%s:%d", p.Protocol, t.address, p.Number) }
	name := func(p model.Port) string {
		return fmt.Sprintf("%s_PORT_%d_%s", prefix, p.Number, strings.ToUpper(p.Protocol))
	}
	var env []string
	if len(ports) > 0 {
		env = append(env, prefix+"_PORT="+url(ports[0]))
	}
	for _, run := range runsOf(ports) {
		first, last := run[0], run[1]
		n := name(first)
		env = append(env,
			n+"_START="+url(first), fmt.Sprintf("%s_PORT_START=%d", n, first.Number),
			n+"_END="+url(last), fmt.Sprintf("%s_PORT_END=%d", n, last.Number))
	}
	for _, p := range ports {
		n := name(p)
		env = append(env, n+"="+url(p), n+"_ADDR="+t.address, fmt.Sprintf("%s_PORT=%d", n, p.Number), n+"_PROTO="+p.Protocol)
	}
	env = append(env, model.LinkNameVariable(own, t.alias))
	for _, e := range t.container.Spec.Env {
		variable, _, ok := strings.Cut(e, "=")
		if ok && variable != "HOME" && variable != "PATH" {
			env = append(env, prefix+"_ENV_"+e)
		}
	}
	return env
}

// runsOf finds three and more ports of one protocol that follow each other, and
// returns the first and the last of each such run.
func runsOf(ports []model.Port) [][2]model.Port {
	ports = slices.Clone(ports)
	slices.SortFunc(ports, func(a, b model.Port) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Number, b.Number))
	})
	var runs [][2]model.Port
	for i := 0; i < len(ports); {
		j := i
		for j+1 < len(ports) && ports[j+1].Protocol == ports[i].Protocol && ports[j+1].Number == ports[j].Number+1 {
			j++
		}
		if j-i >= 2 {
			runs = append(runs, [2]model.Port{ports[i], ports[j]})
		}
		i = j + 1
	}
	return runs
}

// RemoveLink implements dockerapi.Control. A container that runs keeps what it
// was told at its start; its node hears of it before the next one.
func (s *Service) RemoveLink(ctx context.Context, a model.Account, ref, alias string) error {
	leave, err := s.requests.enter(a.ID)
	if err != nil {
		return err
	}
	defer leave()
	c, err := find(s.store.View(), a.ID, ref)
	if err != nil {
		return err
	}
	_, err = s.store.Propose(ctx, command.RemoveLink{ID: c.ID, Alias: alias})
	return err
}
