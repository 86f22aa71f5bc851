package moves

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// lone makes a volume that no container mounts, with files in it.
func lone(t *testing.T, b *bed.Bed, name string) {
	t.Helper()
	volume(t, b, name)
	b.Docker(t, "run", "--rm", "-v", name+":/data", b.Image, "sh", "-c",
		"head -c 4000000 /dev/urandom > /data/big && md5sum < /data/big > /data/sum && mkdir /data/d && ln /data/big /data/d/hard && ln -s big /data/link && touch /data/is-"+name)
}

// intact checks that a container can mount a volume, and finds all that lone put
// into it.
func intact(t *testing.T, b *bed.Bed, name string) {
	t.Helper()
	bed.Eventually(t, func() error {
		done := b.Try(t, "run", "--rm", "-v", name+":/data", b.Image, "sh", "-c",
			"md5sum < /data/link | cmp - /data/sum && cmp /data/big /data/d/hard && echo intact")
		if strings.TrimSpace(done.Stdout) != "intact" {
			return fmt.Errorf("code %d: %s%s", done.Code, done.Stdout, done.Stderr)
		}
		return nil
	})
}

// row is what the operator sees of a volume.
func row(t *testing.T, b *bed.Bed, name string) (fields []string, err error) {
	t.Helper()
	out, err := try(t.Context(), b, "volume", "ls")
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); fields[0] == "dev/"+name {
			return fields, err
		}
	}
	return nil, errors.Join(err, fmt.Errorf("there is no volume %s: %s", name, out))
}

// loneJourney is that of a volume which lone made on a rack without ZFS: its
// directories can be seen.
func loneJourney(t *testing.T, b *bed.Bed, name string) journey {
	return journey{
		move: []string{"volume", "move", "dev/" + name},
		over: func() error {
			fields, err := row(t, b, name)
			if err == nil && slices.Contains(fields, "moving") {
				err = errors.New("the volume is moving")
			}
			return err
		},
		holders: func() (on []string) {
			for _, node := range nodes {
				if found, _ := filepath.Glob(filepath.Join(b.Dir, node, "state", "volumes", "*", "data", "is-"+name)); len(found) > 0 {
					on = append(on, node)
				}
			}
			return on
		},
	}
}

// only waits until one node has a volume.
func (j journey) only(t *testing.T) (node string) {
	t.Helper()
	bed.Eventually(t, func() error {
		on := j.holders()
		if len(on) != 1 {
			return fmt.Errorf("it is on %v", on)
		}
		node = on[0]
		return nil
	})
	return node
}

// A volume that no container mounts moves, also where it is a plain directory,
// and nothing is left where it was. A drained node is rid of it.
func TestAVolumeAlone(t *testing.T) {
	b := setting.Shared(t)
	lone(t, b, "lone")
	j := loneJourney(t, b, "lone")
	from := j.only(t)
	if out := operate(t, b, "volume", "move", "dev/lone", other(from), "--rate", "100m"); !strings.Contains(out, other(from)+": is there") {
		t.Errorf("the command says %q", out)
	}
	if got := j.only(t); got != other(from) {
		t.Errorf("it is on %s", got)
	}
	intact(t, b, "lone")
	if fields, err := row(t, b, "lone"); err != nil || !slices.Contains(fields, "ready") || !slices.Contains(fields, other(from)) {
		t.Errorf("the operator sees %v, %v", fields, err)
	}
	for want, to := range map[string]string{"already": other(from), "there is no node": "node-9"} {
		if _, err := try(t.Context(), b, "volume", "move", "dev/lone", to); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a move to %s: %v", to, err)
		}
	}
	id := b.Run(t, "-v", "lone:/data", b.Image, "sleep", "1000")
	if _, err := try(t.Context(), b, "volume", "move", "dev/lone", from); err == nil || !strings.Contains(err.Error(), "in use by 1 containers") {
		t.Errorf("a move of a volume in use: %v", err)
	}
	b.Docker(t, "rm", "-f", id)
	node := j.only(t)
	t.Cleanup(func() { b.Operator(t, "node", "uncordon", node) })
	if plan := operate(t, b, "node", "drain", "--dry-run", node); !strings.Contains(plan, "dev/lone") {
		t.Errorf("the plan lacks the volume:\n%s", plan)
	}
	if out, err := try(t.Context(), b, "node", "drain", node); err != nil {
		t.Errorf("drain: %v\n%s", err, out)
	}
	if got := j.only(t); got == node {
		t.Errorf("it is still on %s", got)
	}
	intact(t, b, "lone")
}

// loneDeaths are the places at which daemons die, as deaths are.
var loneDeaths = []struct{ old, new, head string }{
	{"agent/volume-offered=kill", "agent/volume-fetch-begun=kill", "head.volume.asked=kill"},
	{"agent/volume-let-go=kill", "agent/volume-fetch-done=kill", "head.volume.copied=kill"},
	{"", "agent/volume-let-go=kill", "head.volume.settling=kill"},
	{"", "", "head.volume.settled=kill"},
	{"agent/volume-let-go=kill", "agent/volume-fetch-begun=error", "head.volume.settling=kill"},
	{"volumes.remove=kill", "volumes.make=kill", ""},
}

// Daemons die at each place of a volume's way: in the end one node has it, whole,
// and the other nothing.
func TestDeathsInAMoveOfAVolume(t *testing.T) {
	b := setting.Shared(t)
	lone(t, b, "mortal-lone")
	j := loneJourney(t, b, "mortal-lone")
	for _, places := range loneDeaths {
		t.Run(strings.Trim(fmt.Sprint(places), "{ }"), func(t *testing.T) {
			from := j.only(t)
			armed := map[string]string{from: places.old, other(from): places.new, "head-1": places.head}
			maps.DeleteFunc(armed, func(_, place string) bool { return place == "" })
			dieMoving(t, b, j, armed, other(from))
			intact(t, b, "mortal-lone")
		})
	}
}

// volumesAloneOnZFS is the same where volumes are datasets, once, for zfs-fuse may
// take long to let go of one: its snapshots come along, whoever dies.
func volumesAloneOnZFS(t *testing.T, b *bed.Bed) {
	lone(t, b, "lone")
	operate(t, b, "volume", "snapshot", "dev/lone", "monday")
	b.Docker(t, "run", "--rm", "-v", "lone:/data", b.Image, "sh", "-c", "echo later > /data/later")
	j := loneJourney(t, b, "lone")
	j.holders = func() []string {
		fields, err := row(t, b, "lone")
		if err != nil {
			return nil
		}
		return slices.DeleteFunc(fields, func(f string) bool { return !strings.HasPrefix(f, "node-") })
	}
	from := j.only(t)
	dieMoving(t, b, j, map[string]string{from: "agent/volume-offered=kill", other(from): "volumes.step=kill", "head-1": "head.volume.copied=kill"}, other(from))
	intact(t, b, "lone")
	if got := b.Docker(t, "run", "--rm", "-v", "lone:/data", b.Image, "cat", "/data/later"); got != "later" {
		t.Errorf("it holds %q", got)
	}
	if got := operate(t, b, "volume", "snapshots", "dev/lone"); !strings.Contains(got, "monday") || strings.Contains(got, "spearhead-") {
		t.Errorf("its snapshots are %s", got)
	}
}
