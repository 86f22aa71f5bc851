package state

import (
	canonical "unique"

	"github.com/spearheadcloud/spearhead/model"
)

// intern lets a container that has come from the log or a snapshot share with
// the others the texts that many of them have. It takes a tenth off the memory
// of a large data center.
func intern(c *model.Container) {
	for _, text := range []*string{
		&c.AccountID, &c.NodeID, &c.Package,
		&c.Spec.Image, &c.Spec.ImageID, &c.Spec.ImageDigest, &c.Spec.WorkingDir, &c.Spec.User, &c.Spec.StopSignal,
		&c.Spec.Network, &c.Spec.Restart.Name, &c.Spec.Log.Driver,
	} {
		*text = shared(*text)
	}
	for _, list := range [][]string{c.Spec.Entrypoint, c.Spec.Cmd, c.Spec.Env} {
		for i := range list {
			list[i] = shared(list[i])
		}
	}
	for i := range c.NICs {
		c.NICs[i].NetworkID, c.NICs[i].Interface = shared(c.NICs[i].NetworkID), shared(c.NICs[i].Interface)
	}
	c.Spec.Labels, c.Spec.Log.Options = sharedMap(c.Spec.Labels), sharedMap(c.Spec.Log.Options)
}

func sharedMap(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[shared(k)] = shared(v)
	}
	return out
}

func shared(text string) string { return canonical.Make(text).Value() }
