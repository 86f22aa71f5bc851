package rack

import (
	"fmt"

	"github.com/pelletier/go-toml/v2"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
)

// Ports of the daemons, the same on every host.
const (
	dockerPort      = 2376
	raftPort        = 2380
	peerPort        = 2381
	headMetricsPort = 9376
	nodeMetricsPort = 9377
	gossipPort      = 7946
	wirePort        = 7947
)

// dataCenter is what users of a rack see as its name.
const dataCenter = "dev"

// headConfig is the head.toml of a head.
func (r *Rack) headConfig(h host) map[string]any {
	underlay, _ := r.underlay()
	return map[string]any{
		"name":                h.name,
		"data_center":         dataCenter,
		"state_dir":           r.stateDir(h),
		"socket":              r.socket(h),
		"docker_listen":       at(h, dockerPort),
		"advertise":           []string{h.addr.String()},
		"raft_listen":         at(h, raftPort),
		"peer_listen":         at(h, peerPort),
		"metrics_listen":      at(h, headMetricsPort),
		"gossip_listen":       at(h, gossipPort),
		"insecure_registries": []string{underlay.String()},
		"registry_certs_dir":  r.registryCerts(),
		"fencing_margin":      "15s", // nobody has to start an agent again here that hangs
	}
}

// agentConfig is the agent.toml of a node.
func (r *Rack) agentConfig(h host) map[string]any {
	underlay, _ := r.underlay()
	return map[string]any{
		"name":           h.name,
		"state_dir":      r.stateDir(h),
		"run_dir":        r.hostRun(h) + "/agent",
		"identity_dir":   r.identity(h),
		"metrics_listen": at(h, nodeMetricsPort),
		"wire_listen":    at(h, wirePort),
		"advertise":      at(h, wirePort),
		"gossip_listen":  at(h, gossipPort),
		"cgroup_parent":  r.nodeCgroup(h),
		"storage":        r.storageConfig(h),
		"nic_tags":       map[string]string{nicTag: externalNIC},
		"images":         map[string]any{"insecure_registries": []string{underlay.String()}, "certs_dir": r.registryCerts(), "mirrors": append([]string{}, r.rec.Mirrors...)},
	}
}

func at(h host, port int) string { return fmt.Sprintf("%s:%d", h.addr, port) }

// writeConfig writes the file that a host's daemon is started with.
func (r *Rack) writeConfig(h host) error {
	values := r.agentConfig(h)
	if h.role == roleHead {
		values = r.headConfig(h)
	}
	text, err := toml.Marshal(values)
	if err != nil {
		return fmt.Errorf("cannot encode the configuration of %s: %w", h.name, err)
	}
	if err := atomicfile.Write(r.config(h), text, 0o600); err != nil {
		return fmt.Errorf("cannot write the configuration of %s: %w", h.name, err)
	}
	return nil
}
