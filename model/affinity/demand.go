package affinity

import (
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// Demand is a rule and what it means for nodes at one moment.
type Demand struct {
	Rule
	// nodes hold containers that the rule is about.
	nodes map[string]bool
}

// Place is a node as rules see it.
type Place struct{ ID, Name, Rack, Zone string }

// Resolve finds what rules mean beside the account's containers. It returns an
// error of KindExhausted for a rule that no node can keep: nothing matches
// where something must, or what matches is on several nodes; and of
// KindInvalid for the beginning of an id that several containers have.
//
// A container counts from its reservation on until it is on its way out or
// known to be lost, whether it runs or not.
func Resolve(rules []Rule, containers []*model.Container) ([]Demand, error) {
	demands := make([]Demand, len(rules))
	for i, r := range rules {
		demands[i] = Demand{Rule: r}
		if r.AboutNodes() {
			continue
		}
		matches, err := r.find(containers)
		if err != nil {
			return nil, err
		}
		nodes := map[string]bool{}
		for _, c := range matches {
			nodes[c.NodeID] = true
		}
		demands[i].nodes = nodes
		if r.Not || r.Soft {
			continue
		}
		switch len(nodes) {
		case 0:
			return nil, model.Errorf(model.KindExhausted,
				"No compute resources available: no active containers found matching %q for affinity %q", r.Value, r.Text)
		case 1:
		default:
			return nil, model.Errorf(model.KindExhausted,
				"No compute resources available: the containers matching %q for affinity %q are on %d nodes, and no node holds them all", r.Value, r.Text, len(nodes))
		}
	}
	return demands, nil
}

// Check returns an error of KindConflict if a container on the node at would
// break a rule that is no wish; or that of Resolve.
func Check(rules []Rule, at Place, containers []*model.Container) error {
	demands, err := Resolve(rules, containers)
	if err != nil {
		return err
	}
	for i := range demands {
		if d := &demands[i]; !d.Soft && !d.Keeps(at) {
			return model.Errorf(model.KindConflict, "the chosen node does not keep affinity %q any more; try again", d.Text)
		}
	}
	return nil
}

// Keeps reports whether a container on the node at keeps the rule.
func (d *Demand) Keeps(at Place) bool {
	var hit bool
	switch d.Key {
	case keyNode:
		hit = d.matches(at.Name) || d.pattern == nil && d.Value == at.ID
	case keyRack:
		hit = at.Rack != "" && d.matches(at.Rack)
	case keyZone:
		hit = at.Zone != "" && d.matches(at.Zone)
	default:
		hit = d.nodes[at.ID]
	}
	return hit != d.Not
}

// Holders are the ids of the nodes that hold containers which the rule is
// about. Callers do not change it.
func (d *Demand) Holders() map[string]bool { return d.nodes }

// AboutNodes reports whether a rule asks for nodes, not for containers.
func (r *Rule) AboutNodes() bool {
	return r.Key == keyNode || r.Key == keyRack || r.Key == keyZone
}

// Finds reports whether a rule is about any of containers.
func (r *Rule) Finds(containers []*model.Container) bool {
	found, err := r.find(containers)
	return err != nil || len(found) > 0
}

// find returns the containers that a rule is about. One that is named exactly
// is looked for by its name, then by its id, then by the beginning of its id.
func (r *Rule) find(containers []*model.Container) ([]*model.Container, error) {
	var named, begun []*model.Container
	for _, c := range containers {
		if c.Phase == model.PhaseRemoving || c.State.Status == model.StatusDead {
			continue
		}
		switch {
		case r.Key != keyContainer:
			if value, ok := c.Spec.Labels[r.Key]; ok && r.matches(value) {
				named = append(named, c)
			}
		case r.matches(c.Name), r.pattern == nil && r.Value == c.ID:
			named = append(named, c)
		case r.pattern == nil && strings.HasPrefix(c.ID, r.Value):
			begun = append(begun, c)
		}
	}
	if len(named) > 0 || r.Key != keyContainer {
		return named, nil
	}
	if len(begun) > 1 {
		return nil, model.Errorf(model.KindInvalid, "invalid affinity %q: several containers have an id that begins with %s", r.Text, r.Value)
	}
	return begun, nil
}
