package containers_test

import (
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
)

// What a container does in the milliseconds before anybody looks at its state
// ends a wait all the same.
func TestWaitUnderFastRestarts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		cond   dockerapi.WaitCondition
		policy string
		codes  []int // of the ends, each followed by a start
		want   int
	}{
		{"next exit of many", dockerapi.WaitNextExit, "always", []int{1, 2, 3}, 1},
		{"no policy: started again by its user", dockerapi.WaitNotRunning, "no", []int{4, 5}, 4},
		{"on-failure: the success is the end", dockerapi.WaitNotRunning, "on-failure", []int{6, 0, 7}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := headtest.New(t, 1)
			ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
			pull(t, c, a)
			r := request("web")
			r.Spec.Restart.Name = tc.policy
			m := create(t, c, a, r)
			if err := c.Containers.Start(ctx, a, "web"); err != nil {
				t.Fatal(err)
			}
			registered, result := make(chan struct{}), make(chan dockerapi.WaitResult, 1)
			go func() {
				res, err := c.Containers.Wait(ctx, a, "web", tc.cond, func() { close(registered) })
				if err != nil {
					t.Error(err)
				}
				result <- res
			}()
			<-registered
			c.Agent("node-1").ExitAndRestart(m.ID, tc.codes...)
			if got := <-result; got.ExitCode != tc.want {
				t.Errorf("exit code %d, want %d", got.ExitCode, tc.want)
			}
		})
	}
}

// docker run --rm goes on waiting for the removal of a container that could not be started.
func TestWhatCouldNotBeStartedIsRemovedForWhoWaits(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	r := request("web")
	r.Spec.AutoRemove = true
	m := create(t, c, a, r)
	registered, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := c.Containers.Wait(ctx, a, "web", dockerapi.WaitRemoved, func() { close(registered) })
		ended <- err
	}()
	<-registered
	node := c.Agent("node-1")
	node.Cut(true)
	wantKind(t, c.Containers.Start(ctx, a, "web"), model.KindUnavailable, "")
	node.Cut(false)
	if err := <-ended; err != nil || node.Has(m.ID) {
		t.Errorf("the wait ends with %v, the node has the container: %t", err, node.Has(m.ID))
	}
}
