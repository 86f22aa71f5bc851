package state

import (
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) putNode(c command.PutNode) error {
	n := c.Node
	if err := checkKey("node id", n.ID); err != nil {
		return err
	}
	if err := checkKey("node name", n.Name); err != nil {
		return err
	}
	if n.Overcommit.Memory < 0 || n.Overcommit.CPU < 0 || n.Overcommit.Disk < 0 {
		return model.Errorf(model.KindInvalid, "node %s: a ratio of overcommit is negative", n.Name)
	}
	if t.Departed(n.ID) {
		return model.Errorf(model.KindConflict, "node %s was removed; it has to join anew", n.Name)
	}
	if same, ok := t.NodeByName(n.Name); ok && same.ID != n.ID {
		return model.Errorf(model.KindConflict, "a node with the name %s exists already", n.Name)
	}
	if n.MaxContainers < 0 {
		return model.Errorf(model.KindInvalid, "node %s: the number of containers is negative", n.Name)
	}
	n.JournalEpoch, n.JournalSeq = "", 0
	if old, ok := t.Node(n.ID); ok {
		n.JournalEpoch, n.JournalSeq = old.JournalEpoch, old.JournalSeq
		if n.Info.Hostname == "" {
			n.Info = old.Info
		}
	}
	return t.insert(tableNodes, &n)
}

func (t *transaction) node(id string) (model.Node, error) {
	n, ok := t.Node(id)
	if !ok {
		return n, model.Errorf(model.KindNotFound, "no such node")
	}
	return n, nil
}

func (t *transaction) setNodeInfo(c command.SetNodeInfo) error {
	n, err := t.node(c.NodeID)
	if err != nil {
		return err
	}
	n.Info = c.Info
	return t.insert(tableNodes, &n)
}

func (t *transaction) removeNode(c command.RemoveNode) error {
	n, err := t.node(c.ID)
	if err != nil {
		return err
	}
	if count := t.PromisedTo(n.ID); count > 0 {
		return model.Errorf(model.KindConflict, "node %s has %d containers; remove or move them first", n.Name, count)
	}
	if err := t.dropVolumesOnNode(n); err != nil {
		return err
	}
	if err := t.dropFormerOnNode(n.ID); err != nil {
		return err
	}
	for _, image := range t.Images() {
		if slices.Contains(image.Holders, n.ID) {
			if err := t.dropHolder(*image, n.ID); err != nil {
				return err
			}
		}
	}
	for _, b := range match[model.Builder](t.txn, tableBuilders, indexNode, n.ID) {
		t.touch(b.AccountID)
		if err := t.forgetBuilder(b.AccountID); err != nil {
			return err
		}
	}
	if err := t.depart(n.ID); err != nil {
		return err
	}
	return t.delete(tableNodes, &n)
}

// limits is how much a node may promise.
func limits(n model.Node) model.Resources {
	return model.Resources{
		Memory: scale(n.Info.Capacity.Memory, n.Overcommit.Memory, 1),
		CPU:    scale(n.Info.Capacity.CPU, n.Overcommit.CPU, 4),
		Disk:   scale(n.Info.Capacity.Disk, n.Overcommit.Disk, 1),
	}
}

// maxResource is more than any machine has, and so little that sums of a few
// million of them do not overflow where they are checked one by one.
const maxResource = 1 << 60

func scale(capacity int64, ratio, otherwise float64) int64 {
	if ratio == 0 {
		ratio = otherwise
	}
	product := float64(capacity) * ratio
	if product > maxResource {
		return maxResource
	}
	if product < 0 {
		return 0
	}
	return int64(product)
}

// checkCapacity refuses what would promise more of a node than it may.
func (t *transaction) checkCapacity(n model.Node, more model.Resources) error {
	have, limit := t.Promised(n.ID), limits(n)
	for _, r := range []struct {
		name              string
		have, more, limit int64
	}{
		{"memory", have.Memory, more.Memory, limit.Memory},
		{"CPU", have.CPU, more.CPU, limit.CPU},
		{"disk", have.Disk, more.Disk, limit.Disk},
	} {
		if r.more < 0 || r.more > maxResource {
			return model.Errorf(model.KindInvalid, "the container's %s of %d is out of range", r.name, r.more)
		}
		if r.more > 0 && r.more > r.limit-r.have {
			return model.Errorf(model.KindExhausted, "not enough %s left on the chosen node", r.name)
		}
	}
	return nil
}

// promise adds a container to what its node has promised, and to the sums of
// its account and package; sign is 1 or -1.
func (t *transaction) promise(c *model.Container, sign int) error {
	if err := t.hold(c, sign); err != nil {
		return err
	}
	if err := t.promiseWay(c, sign); err != nil {
		return err
	}
	return t.promiseOf(c.NodeID, sign, times(c.Reserved, sign))
}

// promiseOf adds containers and resources to what a node has promised.
func (t *transaction) promiseOf(nodeID string, containers int, more model.Resources) error {
	p, ok := first[promised](t.txn, tablePromised, indexID, nodeID)
	if !ok {
		p.NodeID = nodeID
	}
	p.Containers += containers
	p.Resources = p.Resources.Add(more)
	if p.Containers == 0 && p.Resources == (model.Resources{}) {
		if !ok {
			return nil
		}
		return t.delete(tablePromised, &p)
	}
	return t.insert(tablePromised, &p)
}
