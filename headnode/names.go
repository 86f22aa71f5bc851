package headnode

import (
	"context"

	"github.com/spearheadcloud/spearhead/headnode/zones"
	"github.com/spearheadcloud/spearhead/internal/revert"
)

// openZones has this head listen for questions of DNS, if it is told to.
func (h *head) openZones(ctx context.Context, opened *revert.Stack) error {
	conf := h.cfg.DNS
	if conf.Listen == "" {
		return nil
	}
	server := zones.New(zones.Config{
		Store: h.store, Connected: h.nodes.Connected, Listen: conf.Listen, Origin: h.home.record.DataCenter + "." + conf.Suffix,
		Hosts: h.cfg.Advertise, Transfer: conf.Transfer, Logger: h.log,
	})
	listener, err := server.Open(ctx)
	if err != nil {
		return err
	}
	h.zones = listener
	opened.Add(listener.Close)
	return nil
}
