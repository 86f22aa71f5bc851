package agent_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/agent"
	"github.com/spearheadcloud/spearhead/agent/kerneltest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// toldDriver remembers which networks it was told of, and may fail at that.
type toldDriver struct {
	agent.Network
	told [][]string
	fail error
}

func (d *toldDriver) SetNetworks(ctx context.Context, s model.NetworkState) error {
	var ids []string
	for _, n := range s.Networks {
		ids = append(ids, n.Network.ID)
	}
	d.told = append(d.told, ids)
	if d.fail != nil {
		return d.fail
	}
	return d.Network.SetNetworks(ctx, s)
}

// TestWhatWasToldOfNetworksOutlivesTheAgent, also where it died before it had
// acted by it: the next one acts by it before anything else.
func TestWhatWasToldOfNetworksOutlivesTheAgent(t *testing.T) {
	t.Parallel()
	k, dir := kerneltest.New(), t.TempDir()
	defer k.Shutdown()
	with := func(d *toldDriver) func(*agent.Options) {
		return func(o *agent.Options) {
			d.Network = o.Drivers.Network
			o.Drivers.Network = d
		}
	}
	live := &toldDriver{}
	n := open(t, k, nil, dir, with(live))
	state := model.NetworkState{Networks: []model.NetworkView{{Network: model.Network{ID: "one"}}, {Network: model.Network{ID: "two"}}}}
	live.fail = errors.New("killed")
	if _, err := n.SetNetworks(t.Context(), wire.NodeNetworks{Version: 7, NetworkState: state}); err == nil {
		t.Fatal("it is told although nobody acts by it")
	}
	n.Close()
	next := &toldDriver{}
	n = open(t, k, nil, dir, with(next))
	defer n.Close()
	if diff := cmp.Diff([][]string{{"one", "two"}}, next.told); diff != "" {
		t.Errorf("the next agent acts by (-want +got):\n%s", diff)
	}
	if v, err := n.SetNetworks(t.Context(), wire.NodeNetworks{Version: 7, NetworkState: state}); err != nil || v.Version != 7 {
		t.Errorf("told again: %+v, %v", v, err)
	}
	if _, err := n.SetNetworks(t.Context(), wire.NodeNetworks{Version: 6, NetworkState: state}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("an older version, of a head that leads no more: %v", err)
	}
}
