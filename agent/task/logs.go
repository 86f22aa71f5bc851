package task

import (
	"fmt"
	"strings"

	"github.com/spearheadcloud/spearhead/agent/logship"
	"github.com/spearheadcloud/spearhead/internal/logopt"
)

// shipLogs has the log of the newest run sent to where its driver says. What
// cannot be sent is on the node all the same, so the container runs on.
func (t *Task) shipLogs() {
	err := t.beginShipping()
	if err != nil {
		t.log.Error("cannot send the log of a container", "op", "log", "err", err)
	}
}

func (t *Task) beginShipping() error {
	c := &t.request.Container
	config, err := logopt.Parse(c.Spec.Log.Driver, c.Spec.Log.Options)
	if err != nil || !config.Remote() {
		return err
	}
	ctx, cancel := t.step()
	defer cancel()
	netns, err := t.network(ctx) // there already: this finds it again
	if err != nil {
		return err
	}
	if netns == "" {
		netns = fmt.Sprintf("/proc/%d/ns/net", t.status.State.Pid)
	}
	files := etcPaths(t.node.Dir, t.id)
	if peer, joined := strings.CutPrefix(c.Spec.Network, "container:"); joined {
		files = etcPaths(t.node.Dir, peer)
	}
	return t.node.Shipper.Begin(logship.Container{
		ID: t.id, Name: c.Name, Created: c.Created, Spec: &c.Spec, LogDir: t.node.Runtime.LogDir(t.id),
		Netns: netns, Hosts: files.hosts, ResolvConf: files.resolvConf,
	})
}
