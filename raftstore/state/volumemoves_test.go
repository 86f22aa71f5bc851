package state

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// lone is a volume of 20 on node-1 that no container mounts, and empty nodes
// beside it: node-2 with room, node-3 without.
func lone(t *testing.T) *journal {
	t.Helper()
	j := newJournal(t)
	v := testVolume(1, 20)
	v.NodeID = "node-1"
	j.must(quotaNode(1, 100), quotaNode(2, 100), quotaNode(3, 1), command.CreateVolume{Volume: v})
	return j
}

func askWay(to string) command.AskVolumeMove {
	return command.AskVolumeMove{ID: "volume-1", Operation: "way", To: to, Rate: 7, Time: epoch}
}

func stepWay(to model.TransferStep, failure string) command.StepVolumeMove {
	return command.StepVolumeMove{ID: "volume-1", Operation: "way", Step: to, Failure: failure}
}

var endWay = command.EndVolumeMove{ID: "volume-1", Operation: "way", Time: epoch}

func TestAVolumeGoesItsWay(t *testing.T) {
	t.Parallel()
	j := lone(t)
	j.must(mounting(1, "v1"))
	j.refused(askWay("node-2"), model.KindConflict) // it is mounted
	j.must(command.ReleaseContainer{ID: mounting(1).Container.ID})
	for to, kind := range map[string]model.Kind{"node-1": model.KindConflict, "node-3": model.KindExhausted, "node-9": model.KindNotFound} {
		j.refused(askWay(to), kind)
	}
	j.must(askWay("node-2"), askWay("node-2"))
	if p := j.View().Promised("node-2").Disk; p != 20 {
		t.Errorf("the new node promises %d meanwhile", p)
	}
	other := askWay("node-2")
	other.Operation = "other"
	j.refused(other, model.KindConflict)
	j.refused(mounting(2, "v1"), model.KindConflict)
	j.refused(command.SetVolumeSize{ID: "volume-1", Before: 20, Size: 30}, model.KindConflict)
	j.refused(command.MoveVolume{ID: "volume-1", From: "node-1", To: "node-2"}, model.KindConflict)
	j.refused(endWay, model.KindConflict)
	j.must(stepWay(model.TransferSettling, ""), stepWay(model.TransferSettling, ""))
	j.refused(stepWay(model.TransferUndoing, "late"), model.KindConflict)
	v := j.volume("v1")
	if v.NodeID != "node-2" || !slices.Equal(v.Copies, []model.VolumeCopy{{NodeID: "node-1", Dead: true}}) || !v.Moving() {
		t.Errorf("it is %+v", v)
	}
	if one, two := j.View().Promised("node-1").Disk, j.View().Promised("node-2").Disk; one != 0 || two != 20 {
		t.Errorf("the nodes promise %d and %d", one, two)
	}
	if moving := j.View().MovingVolumes(); len(moving) != 1 {
		t.Errorf("moving are %v", moving)
	}
	j.must(endWay, endWay, mountingOn("node-2"))
	if v := j.volume("v1"); v.Move != nil || v.LastMove.Operation != "way" || v.LastMove.Failure != "" || len(j.View().MovingVolumes()) != 0 {
		t.Errorf("in the end it is %+v", v)
	}
}

// mountingOn is a container on a node that mounts the volume.
func mountingOn(node string) command.ReserveContainer {
	r := mounting(5, "v1")
	r.Container.NodeID = node
	return r
}

func TestAVolumeStaysAfterAll(t *testing.T) {
	t.Parallel()
	for name, undo := range map[string]command.Command{
		"by a step":             stepWay(model.TransferUndoing, "no room"),
		"with its node":         command.RemoveNode{ID: "node-2"},
		"with the volume's end": command.RemoveVolume{ID: "volume-1", Time: epoch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := lone(t)
			j.must(askWay("node-2"), undo)
			v, ok := j.View().Volume("volume-1")
			if !ok || v.NodeID != "node-1" || v.Move == nil || v.Move.Step != model.TransferUndoing || v.Move.Failure == "" || slices.ContainsFunc(v.Copies, func(c model.VolumeCopy) bool { return !c.Dead }) {
				t.Fatalf("it is %+v", v)
			}
			if one, two := j.View().Promised("node-1").Disk, j.View().Promised("node-2").Disk; one != 20 || two != 0 {
				t.Errorf("the nodes promise %d and %d", one, two)
			}
			j.refused(stepWay(model.TransferSettling, ""), model.KindConflict)
			if v.Removing {
				j.refused(command.ForgetVolume{ID: "volume-1"}, model.KindConflict) // its way is not at its end
			}
			j.must(endWay, command.DropCopy{ID: "volume-1", NodeID: "node-2"})
			if v, _ := j.View().Volume("volume-1"); v.Moving() || v.LastMove == nil || v.LastMove.Failure == "" {
				t.Errorf("in the end it is %+v", v)
			}
		})
	}
}

func randomVolumeMove(t *rapid.T, id string) command.Command {
	operation := rapid.SampledFrom([]string{"way", "other"}).Draw(t, "operation")
	switch rapid.IntRange(0, 4).Draw(t, "of a way") {
	case 0, 1:
		return command.AskVolumeMove{ID: id, Operation: operation, To: nodeID(t), Time: epoch}
	case 2:
		return command.EndVolumeMove{ID: id, Operation: operation, Time: epoch}
	}
	step := rapid.SampledFrom([]model.TransferStep{model.TransferCopying, model.TransferSettling, model.TransferUndoing, "else"}).Draw(t, "step")
	return command.StepVolumeMove{ID: id, Operation: operation, Step: step, Failure: "failure"}
}

// checkVolumeMove looks at one volume's way, and adds what it is promised.
func checkVolumeMove(t *rapid.T, v *View, vol *model.Volume, disk map[string]int64) {
	way := vol.Move
	if way == nil {
		return
	}
	switch way.Step {
	case model.TransferCopying:
		disk[way.To] += vol.Size
		if _, ok := v.Node(way.To); !ok || vol.Removing || vol.NodeID == way.To || !slices.ContainsFunc(vol.Copies, copyOn(way.To)) {
			t.Fatalf("volume %+v is copied to %s", vol, way.To)
		}
	case model.TransferSettling:
		if vol.NodeID != way.To {
			t.Fatalf("volume %+v is not on %s", vol, way.To)
		}
	case model.TransferUndoing:
		if vol.NodeID == way.To || way.Failure == "" {
			t.Fatalf("volume %+v is to stay", vol)
		}
	default:
		t.Fatalf("volume %+v takes no such step", vol)
	}
}
