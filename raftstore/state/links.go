package state

import (
	"reflect"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// checkLinks refuses links to containers that are not the account's.
func (t *transaction) checkLinks(c model.Container) error {
	for _, l := range c.Spec.Links {
		if err := checkKey("container of a link", l.ContainerID); err != nil {
			return err
		}
		other, ok := t.Container(l.ContainerID)
		if !ok || other.AccountID != c.AccountID {
			return model.Errorf(model.KindInvalid, "could not get container for %s: No such container: %s", l.Name, l.Name)
		}
	}
	return nil
}

// changeLinks writes each container that is linked to id with what change
// makes of its links. Its node hears of them before the next start.
func (t *transaction) changeLinks(id string, change func([]model.Link) []model.Link) error {
	for _, row := range t.LinkedTo(id) {
		c := *row
		c.Spec.Links, c.LinksStale = change(slices.Clone(c.Spec.Links)), true
		t.touch(c.AccountID)
		if err := t.insert(tableContainers, &c); err != nil {
			return err
		}
	}
	return nil
}

// renameInLinks tells those that are linked to c of its new name.
func (t *transaction) renameInLinks(c *model.Container) error {
	return t.changeLinks(c.ID, func(links []model.Link) []model.Link {
		for i := range links {
			if l := &links[i]; l.ContainerID == c.ID {
				l.Name, l.Hosts = c.Name, model.LinkHosts(l.Alias, c.Spec.Hostname, c.Name)
			}
		}
		return links
	})
}

// renameInOwnLinks gives the links of c its new name, which is part of their
// environment.
func renameInOwnLinks(c *model.Container) {
	if len(c.Spec.Links) == 0 {
		return
	}
	c.Spec.Links, c.LinksStale = slices.Clone(c.Spec.Links), true
	for i := range c.Spec.Links {
		l := &c.Spec.Links[i]
		l.Env = slices.Clone(l.Env)
		if at := slices.IndexFunc(l.Env, isNameOf(l.Alias)); at >= 0 {
			l.Env[at] = model.LinkNameVariable(c.Name, l.Alias)
		}
	}
}

// isNameOf reports whether a variable is the one that holds a container's own
// name and its alias for another.
func isNameOf(alias string) func(string) bool {
	begin := model.LinkVariable(alias) + "_NAME=/"
	return func(variable string) bool { return len(variable) > len(begin) && variable[:len(begin)] == begin }
}

// dropLinksTo takes a container that goes away from the links of others: its
// address will be another's.
func (t *transaction) dropLinksTo(c *model.Container) error {
	return t.changeLinks(c.ID, func(links []model.Link) []model.Link {
		return slices.DeleteFunc(links, func(l model.Link) bool { return l.ContainerID == c.ID })
	})
}

func (t *transaction) removeLink(cmd command.RemoveLink) error {
	c, ok := t.Container(cmd.ID)
	if !ok {
		return model.Errorf(model.KindNotFound, "No such container: %s", cmd.ID)
	}
	left := slices.DeleteFunc(slices.Clone(c.Spec.Links), func(l model.Link) bool { return l.Alias == cmd.Alias })
	if len(left) == len(c.Spec.Links) {
		return model.Errorf(model.KindNotFound, "No such link: /%s/%s", c.Name, cmd.Alias)
	}
	c.Spec.Links, c.LinksStale = left, true
	t.touch(c.AccountID)
	return t.insert(tableContainers, &c)
}

func (t *transaction) linksTold(cmd command.LinksTold) error {
	c, ok := t.Container(cmd.ID)
	if !ok || len(c.Spec.Links)+len(cmd.Links) > 0 && !reflect.DeepEqual(c.Spec.Links, cmd.Links) {
		return nil
	}
	c.LinksStale = false
	return t.insert(tableContainers, &c)
}
