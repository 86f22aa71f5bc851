package containers

import (
	"context"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Publisher is the part of this head that makes ports of containers reachable
// at its own address; see package publish.
type Publisher interface {
	// Check refuses, in Docker's words, a container one of whose ports this head
	// could not publish.
	Check(c *model.Container) error
	// Published returns when this head publishes what it did not before a moment
	// ago, or when ctx ends.
	Published(ctx context.Context)
}

// maxEndpointPorts bounds the numbers at heads' addresses of one container.
const maxEndpointPorts = 128

// findEndpointPorts asks for numbers at heads' addresses for the ports that are
// published there, if the account's are. Heads carry tcp and udp.
func (p *plan) findEndpointPorts(v *state.View) error {
	here := v.PublishOf(&p.account) == model.PublishEndpoint
	count := 0
	ports := slices.Clone(p.request.Spec.Ports)
	for i := range ports {
		port := &ports[i]
		switch {
		case !here || !port.Published || port.Protocol != "tcp" && port.Protocol != "udp":
			port.Endpoint = nil
		case len(port.Endpoint) == 0:
			port.Endpoint = []model.EndpointPort{{}}
		}
		count += len(port.Endpoint)
	}
	p.request.Spec.Ports = ports
	if count > maxEndpointPorts {
		return model.Errorf(model.KindInvalid, "%d ports are published, and %d is the most at the address of the data center; publish fewer", count, maxEndpointPorts)
	}
	return nil
}

// endpointPorts gives ports the numbers at heads' addresses that they ask for.
// One that is chosen is nobody else's, whether that runs or not.
func (f *fleet) endpointPorts(v *state.View, asked []model.Port) ([]model.Port, error) {
	ports, given := slices.Clone(asked), map[string]bool{}
	for i := range ports {
		ports[i].Endpoint = slices.Clone(ports[i].Endpoint)
		for j := range ports[i].Endpoint {
			e, protocol := &ports[i].Endpoint[j], ports[i].Protocol
			taken := func(number uint16) bool {
				return given[model.EndpointKey(protocol, number)] || v.EndpointTaken(protocol, number) || f.numbered(protocol, number)
			}
			if e.Exact() {
				e.Number = e.First
			} else if err := f.number(e, protocol, taken); err != nil {
				return nil, err
			}
			given[model.EndpointKey(protocol, e.Number)] = true
		}
	}
	return ports, nil
}

// number chooses a free number of those that e asks for. Where any will do, it
// goes on from the last one that was given: clients may still know the former
// holder of one that has just become free.
func (f *fleet) number(e *model.EndpointPort, protocol string, taken func(uint16) bool) error {
	first, last := e.First, e.Last
	if first == 0 {
		first, last = model.FirstEndpointPort, model.LastEndpointPort
	}
	count := uint32(last) - uint32(first) + 1
	offset := uint32(0)
	if hint := f.lastNumber[protocol]; e.First == 0 && hint != 0 {
		offset = uint32(hint) - uint32(first) + 1
	}
	for i := range count {
		number := uint16(uint32(first) + (offset+i)%count)
		if taken(number) {
			continue
		}
		if e.Number = number; e.First == 0 {
			f.lastNumber[protocol] = number
		}
		return nil
	}
	if e.First == 0 {
		return model.Errorf(model.KindExhausted, "all %d ports of the data center's address are allocated; remove containers that publish ports, or publish under a number of your choice", count)
	}
	return model.Errorf(model.KindConflict, "Bind for 0.0.0.0:%d-%d failed: port is already allocated", first, last)
}

// numbered reports whether a pending container has a number at heads' addresses.
func (f *fleet) numbered(protocol string, number uint16) bool {
	for _, c := range f.pending {
		for _, p := range c.Spec.Ports {
			if p.Protocol == protocol && slices.ContainsFunc(p.Endpoint, func(e model.EndpointPort) bool { return e.Number == number }) {
				return true
			}
		}
	}
	return false
}

// checkEndpoint refuses a start while a number that the container asks for at
// heads' addresses is another's who runs, or cannot be had.
func (s *Service) checkEndpoint(v *state.View, c *model.Container) error {
	if c.State.Status.Running() || !atEndpoint(c) {
		return nil
	}
	if err := checkHolders(v, c); err != nil || s.publisher == nil {
		return err
	}
	return s.publisher.Check(c)
}

// published returns when this head publishes a container that has started; it
// fails if another one that started at the same time has one of its numbers.
func (s *Service) published(ctx context.Context, id string) error {
	v := s.store.View()
	c, ok := v.Container(id)
	if !ok || !atEndpoint(&c) {
		return nil
	}
	if s.publisher != nil {
		s.publisher.Published(ctx)
	}
	return checkHolders(v, &c)
}

// atEndpoint reports whether heads publish ports of a container.
func atEndpoint(c *model.Container) bool {
	return slices.ContainsFunc(c.Spec.Ports, func(p model.Port) bool { return len(p.Endpoint) > 0 })
}

// checkHolders refuses, in Docker's words, a container one of whose numbers at
// heads' addresses is another's.
func checkHolders(v *state.View, c *model.Container) error {
	for _, p := range c.Spec.Ports {
		for _, e := range p.Endpoint {
			if holder, held := v.EndpointHolder(p.Protocol, e.Number); held && holder.ID != c.ID {
				return model.ErrPortAllocated(c, e.Number)
			}
		}
	}
	return nil
}
