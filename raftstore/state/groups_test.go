package state

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func groupID(n int) string { return reservation(n, "").Container.ID }

// family are containers on node-1 that are bound to each other: 1 and 2 mount
// v1, 3 lives in the network of 1 and 4 beside the processes of 3. 5 is alone.
func family() []command.Command {
	three, four := mounting(3), mounting(4)
	three.Container.Spec.Network, three.Container.NICs = "container:"+groupID(1), nil
	four.Container.Spec.PidMode = "container:" + groupID(3)
	all := []command.Command{quotaNode(1, 1000), quotaNode(2, 1000), command.CreateVolume{Volume: testVolume(1, 20)}}
	for i, r := range []command.ReserveContainer{mounting(1, "v1"), mounting(2, "v1"), three, four, mounting(5)} {
		r.Container.Spec.Limits.Memory, r.Container.Spec.Limits.NanoCPUs = r.Container.Reserved.Memory, 0
		all = append(all, r, told("node-1", uint64(i+1), i+1, "create", model.StatusRunning))
	}
	return all
}

// told is what a node's journal says of the container with that number.
func told(node string, seq uint64, n int, action string, status model.Status) command.CommitJournal {
	return command.CommitJournal{NodeID: node, Epoch: "e", Entries: []model.JournalEntry{{
		Seq: seq, ContainerID: groupID(n), Action: action, Time: epoch, State: &model.ContainerState{Status: status},
	}}}
}

// groupStep is the step of a way to node, with what each of its company takes
// there.
func groupStep(v *View, id, operation, node string) command.StepTransfer {
	c, _ := v.Container(id)
	cmd := command.StepTransfer{ID: id, Operation: operation, Step: model.TransferCopying, To: node, Others: map[string]model.Resources{}}
	for _, member := range c.Transfer.Company(id) {
		other, _ := v.Container(member)
		r := other.Reserved
		for _, vol := range v.VolumesBrought(&other) {
			r.Disk += vol.Size
		}
		if cmd.Others[member] = r; member == id {
			cmd.Reserved = r
		}
	}
	return cmd
}

func TestAGroupMovesInOneEntry(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(family()...)
	ask := command.AskGroupTransfer{ID: groupID(4), Operation: "way", Time: epoch}
	j.must(ask, ask)
	with := []string{groupID(1), groupID(2), groupID(3), groupID(4)}
	for _, id := range with {
		if c, _ := j.View().Container(id); c.Transfer == nil || !slices.Equal(c.Transfer.With, with) {
			t.Errorf("container %s goes as %+v", c.Name, c.Transfer)
		}
	}
	// Who goes with them is settled.
	late := mounting(6, "v1")
	j.refused(late, model.KindConflict)
	late.Container.Spec.Mounts, late.Container.Spec.IpcMode = nil, "container:"+groupID(2)
	j.refused(late, model.KindConflict)

	lacking := groupStep(j.View(), groupID(4), "way", "node-2")
	delete(lacking.Others, groupID(2))
	j.refused(lacking, model.KindConflict)
	j.must(groupStep(j.View(), groupID(2), "way", "node-2"))
	if p := j.View().Promised("node-2"); p.Disk != 4*10+20 || p.Memory != 4*10 || j.View().PromisedTo("node-2") != 4 {
		t.Errorf("the new node promises %+v to %d", p, j.View().PromisedTo("node-2"))
	}
	j.must(step(groupID(3), model.TransferStopping))
	complete := command.CompleteTransfer{ID: groupID(1), Operation: "way", Time: epoch}
	for n := 1; n <= 4; n++ {
		j.refused(complete, model.KindConflict) // some run
		j.must(told("node-1", uint64(5+n), n, "die", model.StatusExited))
	}
	j.must(complete)
	for n := 1; n <= 4; n++ {
		c, _ := j.View().Container(groupID(n))
		if c.NodeID != "node-2" || c.Generation != 1 || c.Transfer != nil || !c.Move.Start || c.Reserved != (model.Resources{Memory: 10, CPU: 10, Disk: 10}) {
			t.Errorf("container %d is %+v", n, c)
		}
	}
	if c, _ := j.View().Container(groupID(5)); c.NodeID != "node-1" || c.Transfer != nil {
		t.Errorf("the one that shares nothing is %+v", c)
	}
	if v := j.volume("v1"); v.NodeID != "node-2" || len(v.Copies) != 1 {
		t.Errorf("the volume is %+v", v)
	}
}

// One that cannot move holds the others, and is named.
func TestAGroupIsHeldByOne(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	j.must(family()...)
	j.must(told("node-1", 6, 2, "pause", model.StatusPaused))
	err := j.try(command.AskGroupTransfer{ID: groupID(4), Operation: "way", Time: epoch})
	if !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), "container c2 is paused") {
		t.Errorf("a group with a paused container: %v", err)
	}
}

// One that is lost on the way leaves the others where they are.
func TestAGroupThatLosesOne(t *testing.T) {
	t.Parallel()
	for name, loss := range map[string]command.Command{
		"lost":      command.LoseContainer{ID: groupID(1), Reason: "fire", Time: epoch},
		"destroyed": told("node-1", 6, 1, model.ActionDestroy, model.StatusRemoving),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJournal(t)
			j.must(family()...)
			j.must(command.AskGroupTransfer{ID: groupID(4), Operation: "way", Time: epoch})
			j.must(groupStep(j.View(), groupID(4), "way", "node-2"), step(groupID(1), model.TransferStopping), loss)
			for n := 2; n <= 4; n++ {
				c, _ := j.View().Container(groupID(n))
				if way := c.Transfer; way.Step != model.TransferUndoing || !way.Start || !way.CarriedBy(groupID(2)) && n == 2 || !strings.Contains(way.Failure, "c1") {
					t.Errorf("container %d goes as %+v", n, way)
				}
			}
			j.must(command.EndTransfer{ID: groupID(3), Operation: "way", Time: epoch})
			if n := j.View().PromisedTo("node-2"); n != 0 || len(j.View().TransferredContainers()) != 0 {
				t.Errorf("in the end the new node promises to %d", n)
			}
			if v := j.volume("v1"); v.NodeID != "node-1" || v.Moving() {
				t.Errorf("the volume is %+v", v)
			}
		})
	}
}

// Whatever happens when, those that are bound to each other are on one node, and
// go each way as one.
func TestGroupsStayTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, index := New(), uint64(0)
		do := func(c command.Command) {
			index++
			if err := apply(t, s, index, c); model.IsKind(err, model.KindInternal) {
				t.Fatalf("%T: %v", c, err)
			}
			checkPromises(t, s.View())
			checkGroups(t, s.View())
		}
		for _, c := range append([]command.Command{testAccount(1), testNetwork(1)}, family()...) {
			do(c)
		}
		for range rapid.IntRange(0, 40).Draw(t, "length") {
			for _, c := range randomOfGroup(t, s.View()) {
				do(c)
			}
		}
		checkRestore(t, s)
	})
}

func checkGroups(t *rapid.T, v *View) {
	for _, c := range v.AllContainers() {
		for _, other := range v.AllContainers() {
			if shares(c, other) && c.NodeID != other.NodeID {
				t.Fatalf("containers %s and %s are bound to each other, and on %s and %s", c.Name, other.Name, c.NodeID, other.NodeID)
			}
		}
		for _, vol := range v.VolumesOf(c) {
			if vol.NodeID != c.NodeID {
				t.Fatalf("container %s is on %s, and its volume on %s", c.Name, c.NodeID, vol.NodeID)
			}
		}
		if c.Transfer == nil {
			continue
		}
		for _, id := range c.Transfer.With {
			other, ok := v.Container(id)
			if way := other.Transfer; !ok || way == nil || way.Operation != c.Transfer.Operation || way.Step != c.Transfer.Step ||
				way.To != c.Transfer.To || !slices.Equal(way.With, c.Transfer.With) {
				t.Fatalf("container %s goes as %+v, and %s as %+v", c.Name, c.Transfer, other.Name, way)
			}
		}
	}
}

// randomOfGroup draws what may happen to the family, often what can happen.
func randomOfGroup(t *rapid.T, v *View) []command.Command {
	n := rapid.IntRange(1, 6).Draw(t, "n")
	c, there := v.Container(groupID(n))
	operation := rapid.SampledFrom([]string{"o", "p"}).Draw(t, "operation")
	if c.Transfer != nil {
		operation = c.Transfer.Operation
	}
	tells := func(action string, status model.Status) []command.Command {
		node, _ := v.Node(c.NodeID)
		return []command.Command{told(node.ID, node.JournalSeq+1, n, action, status)}
	}
	switch rapid.IntRange(0, 22).Draw(t, "what") {
	case 0, 1:
		return []command.Command{command.AskGroupTransfer{ID: groupID(n), Operation: operation, Node: rapid.SampledFrom([]string{"", "node-1", "node-2"}).Draw(t, "to"), Time: epoch}}
	case 2, 3, 4:
		return []command.Command{groupStep(v, groupID(n), operation, nodeID(t))}
	case 5, 6:
		return []command.Command{command.StepTransfer{ID: groupID(n), Operation: operation, Step: model.TransferStopping}}
	case 7:
		return []command.Command{command.StepTransfer{ID: groupID(n), Operation: operation, Step: model.TransferUndoing, Failure: "no"}}
	case 8, 9:
		if there {
			return tells("die", model.StatusExited)
		}
	case 10:
		if there {
			return tells(rapid.SampledFrom([]string{"start", model.ActionDestroy}).Draw(t, "tells"), model.StatusRunning)
		}
	case 11, 12:
		return []command.Command{command.CompleteTransfer{ID: groupID(n), Operation: operation, Time: epoch}}
	case 13:
		return []command.Command{command.EndTransfer{ID: groupID(n), Operation: operation, Time: epoch}}
	case 14:
		return tidied(v)
	case 15, 16, 17, 18, 19, 20:
		return goneOn(v)
	}
	late := mounting(6) // ids of those that are gone do not come back
	late.Container.NodeID, late.Container.Spec.Limits.Memory = nodeID(t), late.Container.Reserved.Memory
	if rapid.Bool().Draw(t, "mounts") {
		late.Container.Spec.Mounts = mounting(6, "v1").Container.Spec.Mounts
	} else if owner, ok := v.Container(groupID(1)); ok && owner.NodeID == late.Container.NodeID { // heads see to that
		late.Container.Spec.Network, late.Container.NICs = "container:"+owner.ID, nil
	}
	return []command.Command{late, command.LoseContainer{ID: groupID(rapid.IntRange(1, 30).Draw(t, "lost")), Reason: "fire", Time: epoch}}
}

// goneOn is the next that heads do about the way that is under way, or a new one.
func goneOn(v *View) (all []command.Command) {
	ways := v.TransferredContainers()
	if len(ways) == 0 {
		return append(tidied(v), command.AskGroupTransfer{ID: groupID(1), Operation: "way", Time: epoch})
	}
	c := ways[0]
	switch c.Transfer.Step {
	case model.TransferAsked:
		to := map[string]string{"node-1": "node-2", "node-2": "node-1"}[c.NodeID]
		return []command.Command{groupStep(v, c.ID, c.Transfer.Operation, to)}
	case model.TransferCopying:
		return []command.Command{command.StepTransfer{ID: c.ID, Operation: c.Transfer.Operation, Step: model.TransferStopping}}
	case model.TransferUndoing:
		return []command.Command{command.EndTransfer{ID: c.ID, Operation: c.Transfer.Operation, Time: epoch}}
	}
	node, _ := v.Node(c.NodeID)
	stopped := command.CommitJournal{NodeID: node.ID, Epoch: "e"}
	for i, id := range c.Transfer.Company(c.ID) {
		stopped.Entries = append(stopped.Entries, model.JournalEntry{
			Seq: node.JournalSeq + uint64(i) + 1, ContainerID: id, Action: "die", Time: epoch, State: &model.ContainerState{Status: model.StatusExited},
		})
	}
	return []command.Command{stopped, command.CompleteTransfer{ID: c.ID, Operation: c.Transfer.Operation, Time: epoch}}
}

// tidied is all that ways have left behind, gone.
func tidied(v *View) (all []command.Command) {
	for _, c := range v.AllContainers() {
		if c.Transfer != nil {
			continue
		}
		all = append(all, command.SettleMove{ID: c.ID, Generation: c.Generation})
		for _, former := range c.Former {
			all = append(all, command.DropFormer{ID: c.ID, Former: former})
		}
	}
	for _, vol := range v.AllVolumes() {
		for _, copied := range vol.Copies {
			if copied.Dead {
				all = append(all, command.DropCopy{ID: vol.ID, NodeID: copied.NodeID})
			}
		}
	}
	if all == nil {
		all = append(all, command.SettleMove{ID: "nobody"})
	}
	return all
}
