package state

import (
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// indexEndpoint finds containers by the numbers under which heads publish
// their ports.
const indexEndpoint = "endpoint"

func endpointKeys(ports []model.Port) (keys [][]byte) {
	for _, p := range ports {
		for _, number := range p.AtHeads() {
			keys = append(keys, key(model.EndpointKey(p.Protocol, number)))
		}
	}
	return keys
}

func (t *transaction) setAccountPublish(cmd command.SetAccountPublish) error {
	a, err := t.account(cmd.AccountID)
	if err != nil {
		return err
	}
	if err := model.CheckPublish(cmd.Publish); err != nil {
		return err
	}
	a.Publish = cmd.Publish
	t.touch(a.ID)
	return t.insert(tableAccounts, &a)
}

// checkEndpoints refuses numbers that were chosen for a new container and that
// another one has got meanwhile.
func (t *transaction) checkEndpoints(c *model.Container) error {
	for _, p := range c.Spec.Ports {
		for _, e := range p.Endpoint {
			if !e.Exact() && t.EndpointTaken(p.Protocol, e.Number) {
				return model.Errorf(model.KindConflict, "port %d/%s of the data center's heads was given to another container meanwhile; try again", e.Number, p.Protocol)
			}
		}
	}
	return nil
}

// EndpointTaken reports whether a container has asked for, or was given, a
// number at heads' addresses, whether it runs or not.
func (v *View) EndpointTaken(protocol string, number uint16) bool {
	return exists(v.txn, tableContainers, indexEndpoint, model.EndpointKey(protocol, number))
}

// EndpointHolder finds the container that heads publish by a number: of those
// that have it the one that runs, and if several do, the one that has run for
// longest.
func (v *View) EndpointHolder(protocol string, number uint16) (*model.Container, bool) {
	var holder *model.Container
	for _, c := range match[model.Container](v.txn, tableContainers, indexEndpoint, model.EndpointKey(protocol, number)) {
		if !c.State.Status.Running() {
			continue
		}
		if holder == nil || c.State.StartedAt.Before(holder.State.StartedAt) {
			holder = c
		}
	}
	return holder, holder != nil
}

// EndpointContainers lists the containers, of all accounts, that have numbers
// at heads' addresses, each once.
func (v *View) EndpointContainers() []*model.Container {
	var all []*model.Container
	seen := map[string]bool{}
	for _, c := range match[model.Container](v.txn, tableContainers, indexEndpoint+prefix) {
		if !seen[c.ID] {
			seen[c.ID] = true
			all = append(all, c)
		}
	}
	return all
}

// PublishOf says where ports of an account's new containers are published.
func (v *View) PublishOf(a *model.Account) model.Publish {
	if a.Publish != model.PublishDefault {
		return a.Publish
	}
	if text, ok := v.Setting(model.SettingPublish); ok && model.Publish(text) == model.PublishEndpoint {
		return model.PublishEndpoint
	}
	return model.PublishContainer
}
