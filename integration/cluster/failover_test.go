package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestP6FailoverOfTheLeader has the leader die, freeze and be cut off while users work through
// every head (F1, F5, F7): work goes on through the others, nothing acknowledged is lost, and
// what is broken says so within seconds and comes back by itself.
func TestP6FailoverOfTheLeader(t *testing.T) {
	for _, c := range []struct{ name, breaks, mends string }{
		{"F1Dies", "kill", "start"}, {"F5Freezes", "stop", "cont"}, {"F7IsCutOff", "cut", "heal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := whole(t)
			users := startLoad(t, b)
			users.workedThrough(t, heads...)
			leader := b.Leader(t)
			broken := time.Now()
			fault(t, b, c.breaks, leader)
			wrote := firstWrite(t, b, others(leader))
			t.Logf("the leader %s %s: the first write worked after %s", leader, c.name, wrote.Sub(broken).Round(10*time.Millisecond))
			users.workedThrough(t, others(leader)...)
			if next := b.Leader(t); c.breaks != "stop" && next == leader {
				t.Errorf("%s still leads", leader)
			}
			fault(t, b, c.mends, leader)
			t.Logf("work went on through %s after %s", leader, users.workedThrough(t, leader).Round(10*time.Millisecond))
			users.settle(t, b)
		})
	}
}

// firstWrite asks the heads, all at a time, to create a container until one of them has, and
// returns when that was.
func firstWrite(t *testing.T, b *bed.Bed, through []string) time.Time {
	t.Helper()
	done := make(chan time.Time, len(through))
	for i, head := range through {
		caller := newAPI(t, b.Through(t, head))
		go func() {
			again := time.NewTicker(10 * time.Millisecond)
			defer again.Stop()
			for n := 0; t.Context().Err() == nil; n++ {
				path := fmt.Sprintf("/containers/create?name=first-%d-%d-%d", time.Now().UnixNano(), i, n)
				if a := caller.call(t.Context(), 15*time.Second, "POST", path, map[string]any{"Image": b.Image, "Cmd": []string{"true"}}); a.status == 201 {
					done <- time.Now()
					return
				}
				<-again.C
			}
		}()
	}
	t.Cleanup(func() { removeNamed(t, b, "^/first-") })
	select {
	case at := <-done:
		return at
	case <-time.After(bed.Patience):
		t.Fatal("nothing could be written any more")
		return time.Time{}
	}
}

// TestP1F2AllHeadsDieAtOnce kills every head at the same time under load and starts them again
// (F2): what was acknowledged is there, and containers did not notice.
func TestP1F2AllHeadsDieAtOnce(t *testing.T) {
	b := whole(t)
	id := b.Run(t, b.Image, "sh", "-c", "echo start >> /starts; exec sleep 1000")
	pid := b.Inspect(t, id, "{{.State.Pid}}")
	users := startLoad(t, b)
	users.workedThrough(t, heads...)
	for _, head := range heads {
		fault(t, b, "kill", head)
	}
	for _, head := range heads {
		fault(t, b, "start", head)
	}
	t.Logf("work went on after %s", users.workedThrough(t, heads...).Round(10*time.Millisecond))
	users.settle(t, b)
	if now := b.Inspect(t, id, "{{.State.Pid}}"); now != pid {
		t.Errorf("the container runs as process %s, it was %s", now, pid)
	}
}

// TestP2AHeadCutOffSaysSo cuts a head off and asks it: it answers within five seconds that it
// cannot know, and neither old state nor success.
func TestP2AHeadCutOffSaysSo(t *testing.T) {
	b := whole(t)
	alone := others(b.Leader(t))[0]
	id := b.Run(t, b.Image, "sleep", "1000")
	caller := newAPI(t, b.Through(t, alone))
	fault(t, b, "isolate", alone)
	b.Through(t, others(alone)[0]).Docker(t, "rm", "-f", id)
	began := time.Now()
	a := caller.call(t.Context(), bed.Patience, "GET", "/containers/"+id+"/json", nil)
	if a.status != 503 {
		t.Errorf("a head that is cut off answers about a container that was removed with %d: %.200s", a.status, a.body)
	}
	t.Logf("it said so after %s", since(began))
	if a := caller.call(t.Context(), bed.Patience, "POST", "/containers/create", map[string]any{"Image": b.Image}); a.status != 503 {
		t.Errorf("it answers a write with %d: %.200s", a.status, a.body)
	}
	fault(t, b, "heal", alone)
	bed.Eventually(t, func() error {
		if a := caller.call(t.Context(), bed.Patience, "GET", "/containers/"+id+"/json", nil); a.status != 404 {
			return fmt.Errorf("after it is back, it answers %d", a.status)
		}
		return nil
	})
}

// TestF8OneWayPartitionsChangeTheLeaderOnce lets the leader be heard and not hear, and the reverse
// (F8): the heads settle on one leader and do not go on electing.
func TestF8OneWayPartitionsChangeTheLeaderOnce(t *testing.T) {
	for _, breaks := range []string{"deafen", "mute"} {
		t.Run(breaks, func(t *testing.T) {
			b := whole(t)
			leader := b.Leader(t)
			before, err := statusOf(t, b, leader)
			if err != nil {
				t.Fatal(err)
			}
			broken := time.Now()
			fault(t, b, breaks, leader)
			t.Logf("%s, the leader: the first write worked after %s", breaks, firstWrite(t, b, others(leader)).Sub(broken).Round(10*time.Millisecond))
			// What would make heads elect again and again shows within some timeouts of elections.
			users := startLoad(t, b)
			t.Logf("users went on after %s", users.workedThrough(t, others(leader)...).Round(10*time.Millisecond))
			users.workedThrough(t, others(leader)...)
			after, err := statusOf(t, b, others(leader)[0])
			if err != nil {
				t.Fatal(err)
			}
			// Heads that go on electing begin a term every second or two; on a busy machine a
			// settled ring may need some.
			terms := after.Raft.Term - before.Raft.Term
			if t.Logf("%d terms have begun in %s", terms, since(broken)); terms > 8 {
				t.Error("the heads do not settle on a leader")
			}
			fault(t, b, "heal", leader)
			users.workedThrough(t, heads...)
			users.settle(t, b)
		})
	}
}

// TestF10LinksFailOneByOne cuts links to five machines one after the other and heals them in another
// order (F10): all of them agree again.
func TestF10LinksFailOneByOne(t *testing.T) {
	b := whole(t)
	users := startLoad(t, b)
	users.workedThrough(t, heads...)
	for _, host := range []string{"head-1", "node-2", "head-2", "node-1", "node-3"} {
		fault(t, b, "isolate", host)
	}
	for _, host := range []string{"node-1", "head-2", "node-3", "head-1", "node-2"} {
		fault(t, b, "heal", host)
	}
	healed := time.Now()
	awaitWhole(t, b)
	t.Logf("all machines agree %s after the last link was healed", since(healed))
	users.workedThrough(t, heads...)
	users.settle(t, b)
}
