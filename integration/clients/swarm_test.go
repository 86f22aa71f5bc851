package clients

import (
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestNoSwarm has what a data center does not offer: clients must learn it in the words in
// which a docker daemon outside of a swarm says it, so that they carry on.
func TestNoSwarm(t *testing.T) {
	withEveryDocker(t, []useCase{
		{"swarm", newest, swarm},
		{"plugins", newest, plugins},
		{"networks and volumes", 22, nouns},
	})
}

func swarm(t *testing.T, b *bed.Bed) {
	for _, args := range [][]string{
		{"node", "ls"}, {"service", "ls"}, {"stack", "ls"}, {"secret", "ls"}, {"config", "ls"},
		{"service", "create", "--detach", b.Image}, {"swarm", "join-token", "worker"}, {"swarm", "unlock-key"},
	} {
		refused(t, b, "This node is not a swarm manager.", args...)
	}
	refused(t, b, "not part of a swarm", "swarm", "leave")
	if out := b.Docker(t, "info", "--format", "{{.Swarm.LocalNodeState}}"); out != "inactive" {
		t.Errorf("docker info: the swarm is %q", out)
	}
}

func plugins(t *testing.T, b *bed.Bed) {
	if out := b.Docker(t, "plugin", "ls", "-q"); out != "" {
		t.Errorf("docker plugin ls: %q", out)
	}
	refused(t, b, "not found", "plugin", "inspect", "nobody-has-this")
}

// nouns makes and removes what has a name of its own beside containers and images.
func nouns(t *testing.T, b *bed.Bed) {
	name := unique(t)
	for _, noun := range []string{"network", "volume"} {
		b.Docker(t, noun, "create", name)
		if out := b.Docker(t, noun, "ls"); !strings.Contains(out, name) {
			t.Errorf("docker %s ls:\n%s", noun, out)
		}
		b.Docker(t, noun, "rm", name)
		refused(t, b, "", noun, "inspect", name)
	}
	refused(t, b, "", "network", "connect", "bridge", "nobody-has-this")
}
