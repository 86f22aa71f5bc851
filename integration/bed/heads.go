package bed

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/spearheadcloud/spearhead/rack"
)

// Through is the bed as its users see it through another one of its heads.
func (b *Bed) Through(t *testing.T, head string) *Bed {
	t.Helper()
	settings, err := b.rack(t).Env("", head)
	if err != nil {
		t.Fatal(err)
	}
	other := *b
	other.Env = append(CleanEnv(), append(settings, "DOCKER_CONFIG="+filepath.Join(b.Dir, "..", filepath.Base(b.Dir)+"-docker"))...)
	return &other
}

// Hosts are the hosts of the rack as they are now.
func (b *Bed) Hosts(t *testing.T) []rack.Host {
	t.Helper()
	status, err := b.rack(t).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status.Hosts
}

// Pid is the process of a host's daemon, which must run: a signal to 0 would be one to the
// tests themselves.
func (b *Bed) Pid(t *testing.T, host string) int {
	t.Helper()
	hosts := b.Hosts(t)
	for _, h := range hosts {
		if h.Name == host && h.Pid > 0 {
			return h.Pid
		}
	}
	t.Fatalf("%s does not run: %+v", host, hosts)
	return 0
}

// Leader waits until a head leads, and returns its name.
func (b *Bed) Leader(t *testing.T) (name string) {
	t.Helper()
	err := Poll(t.Context(), Patience, func() error {
		for _, h := range b.Hosts(t) {
			if h.Role == "leader" && !h.Cut {
				name = h.Name
				return nil
			}
		}
		return errNoLeader
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func (b *Bed) rack(t *testing.T) *rack.Rack {
	t.Helper()
	r, err := rack.Load(b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var errNoLeader = errors.New("no head leads")
