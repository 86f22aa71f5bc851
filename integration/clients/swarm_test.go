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
		{"what is missing", 22, missing},
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

func missing(t *testing.T, b *bed.Bed) {
	for _, args := range [][]string{
		{"network", "create", "mine"}, {"volume", "create", "mine"}, {"network", "connect", "bridge", "nobody-has-this"},
	} {
		done := b.Try(t, args...)
		said := strings.ToLower(done.Stderr)
		if done.Code == 0 || !strings.Contains(said, "not implemented") && !strings.Contains(said, "no such") || !strings.Contains(said, args[0]) && !strings.Contains(said, "container") {
			t.Errorf("docker %s: code %d, %q", strings.Join(args, " "), done.Code, done.Stderr)
		}
	}
	if out := b.Docker(t, "network", "ls"); !strings.Contains(out, "NAME") {
		t.Errorf("docker network ls:\n%s", out)
	}
	if out := b.Docker(t, "volume", "ls", "-q"); out != "" {
		t.Errorf("docker volume ls: %q", out)
	}
}
