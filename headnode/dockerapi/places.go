package dockerapi

import (
	"context"
	"fmt"
	"strconv"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/model"
)

// Place is a node as its users see it: neither its address nor what others
// have there.
type Place struct {
	ID, Name  string
	Connected bool // false: what is shown of its containers is the last that is known
	Cordoned  bool // nothing new comes there
	CPUs      int
	Memory    int64             // bytes
	Labels    map[string]string // rack, zone, storage and the like, by which users choose nodes
	// Containers and Reserved are the account's own; SystemInfo has them.
	Containers int
	Reserved   model.Resources
}

// is reports whether a user means this node by a name or an id.
func (p *Place) is(ref string) bool {
	return p.ID != "" && (p.Name == ref || p.ID == ref)
}

// places finds nodes, each once.
type places struct {
	system System
	known  map[string]Place
}

func (s *server) places() *places { return &places{s.System, map[string]Place{}} }

// of returns the node that a container is on. One that is not in the data
// center any more is not connected and has no name.
func (p *places) of(ctx context.Context, c *model.Container) *Place {
	place, ok := p.known[c.NodeID]
	if !ok {
		place, _ = p.system.Place(ctx, c.NodeID)
		p.known[c.NodeID] = place
	}
	return &place
}

// lost reports whether the container's node does not answer, so that what is
// known of the container may be old.
func (p *places) lost(ctx context.Context, c *model.Container) bool {
	return c.State.Status.Running() && !p.of(ctx, c).Connected
}

// unreachable is added to the status of a container whose node does not answer.
const unreachable = " (unreachable)"

// lostText is the error of such a container's state.
const lostText = "the node of this container does not answer: this is the last that is known of it"

// inspected is an inspection as standalone Swarm gave it: with the node.
type inspected struct {
	*container.InspectResponse
	Node *inspectedNode `json:",omitempty"`
}

// inspectedNode has the fields of standalone Swarm. Addresses of nodes are not
// for users; a client that reads them finds none.
type inspectedNode struct {
	ID        string
	IP        string
	Addr      string
	Name      string
	Cpus      int
	Memory    int64
	Labels    map[string]string
	Connected bool // Spearhead's own
}

// addPlace tells in an inspection where the container is, and that its state
// may be old.
func addPlace(to *container.InspectResponse, place *Place, lost bool) inspected {
	if lost && to.State.Error == "" {
		to.State.Error = lostText
	}
	if place.ID == "" {
		return inspected{InspectResponse: to}
	}
	return inspected{to, &inspectedNode{
		ID: place.ID, Name: place.Name, Cpus: place.CPUs, Memory: place.Memory, Labels: place.Labels, Connected: place.Connected,
	}}
}

// shownPlaces is how many nodes docker info lists.
const shownPlaces = 50

// systemStatus lists the nodes in the words of standalone Swarm.
func systemStatus(all []Place) [][2]string {
	rows := [][2]string{{"Nodes", strconv.Itoa(len(all))}}
	for i, p := range all {
		if i == shownPlaces {
			rows = append(rows, [2]string{" and more", strconv.Itoa(len(all) - shownPlaces)})
			break
		}
		health := "Healthy"
		switch {
		case !p.Connected:
			health = "Unreachable"
		case p.Cordoned:
			health = "Healthy, takes nothing new"
		}
		rows = append(rows, [2]string{" " + p.Name, ""},
			[2]string{"  └ Status", health},
			[2]string{"  └ Containers", strconv.Itoa(p.Containers)},
			[2]string{"  └ Reserved CPUs", fmt.Sprintf("%.2g / %d", float64(p.Reserved.CPU)/1000, p.CPUs)},
			[2]string{"  └ Reserved Memory", units.BytesSize(float64(p.Reserved.Memory)) + " / " + units.BytesSize(float64(p.Memory))})
	}
	return rows
}
