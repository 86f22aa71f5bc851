package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// collector looks up what has a value at any moment.
type collector struct{ s Sources }

var (
	raftTerm      = describe("spearhead_raft_term", "Term of raft; it grows with each election.")
	raftLeads     = describe("spearhead_raft_leader", "1 on the head that leads.")
	raftHasLeader = describe("spearhead_raft_has_leader", "1 if this head knows who leads.")
	raftLast      = describe("spearhead_raft_last_index", "Newest entry in this head's log.")
	raftCommitted = describe("spearhead_raft_commit_index", "Newest entry that this head knows to be agreed on.")
	raftApplied   = describe("spearhead_raft_applied_index", "Newest entry that this head has applied.")
	raftHeads     = describe("spearhead_raft_heads", "Heads that take part.")

	nodeConnected  = describe("spearhead_node_connected", "1 if the node gave this head a sign of life lately.", "node")
	nodeSilence    = describe("spearhead_node_silence_seconds", "Time since the node's last sign of life to this head.", "node")
	nodeJournalLag = describe("spearhead_node_journal_lag_seconds", "Time since the node's journal was last committed to its end; the leader alone knows.", "node")
	nodeContainers = describe("spearhead_node_containers", "Containers that are promised to the node.", "node")
	nodePromised   = describe("spearhead_node_promised_bytes", "Memory and disk that are promised to containers on the node.", "node", "resource")
	nodeOrphans    = describe("spearhead_node_orphans", "Containers on the node that the data center does not know.", "node")
	nodeMissing    = describe("spearhead_node_missing", "Dead containers that the node has lost.", "node")

	inStatus      = describe("spearhead_containers", "Containers of all accounts.", "status")
	imageCopies   = describe("spearhead_images_copies_lacking", "Copies of images that are still to be made.")
	imageSweeps   = describe("spearhead_images_sweep_owed", "1 if images that nobody needs wait for being removed.")
	imageCompares = describe("spearhead_images_compare_owed", "Nodes whose images wait for being compared with the state.")
	queued        = describe("spearhead_queue_length", "What was begun and has not ended, in all of the data center.", "queue")
	gateUse       = describe("spearhead_gate_under_way", "What accounts have under way on this head.", "gate")
	members       = describe("spearhead_gossip_members", "Machines in the gossip ring, as this head sees them.", "role", "alive")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		raftTerm, raftLeads, raftHasLeader, raftLast, raftCommitted, raftApplied, raftHeads,
		nodeConnected, nodeSilence, nodeJournalLag, nodeContainers, nodePromised, nodeOrphans, nodeMissing,
		inStatus, imageCopies, imageSweeps, imageCompares, queued, gateUse, members,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	raft := c.s.Store.Stats()
	gauge(raftTerm, float64(raft.Term))
	gauge(raftLeads, number(raft.Role == "Leader"))
	gauge(raftHasLeader, number(raft.Leader != ""))
	gauge(raftLast, float64(raft.LastIndex))
	gauge(raftCommitted, float64(raft.CommitIndex))
	gauge(raftApplied, float64(raft.AppliedIndex))
	gauge(raftHeads, float64(len(raft.Heads)))

	c.collectNodes(gauge)
	c.collectContainers(gauge)

	debts := c.s.Images()
	gauge(imageCopies, float64(debts.Copies))
	gauge(imageSweeps, number(debts.Sweep))
	gauge(imageCompares, float64(len(debts.Compare)))
	for name, n := range queues(c.s.Store.View()) {
		gauge(queued, float64(n), name)
	}
	for name, g := range c.s.Gates() {
		gauge(gateUse, float64(g.UnderWay), name)
	}
	c.collectMembers(gauge)
}

type gaugeFunc func(d *prometheus.Desc, value float64, labels ...string)

func (c *collector) collectNodes(gauge gaugeFunc) {
	v, now := c.s.Store.View(), time.Now()
	for _, n := range v.Nodes() {
		session := c.s.Session(n.ID)
		gauge(nodeConnected, number(session.Connected), n.Name)
		if !session.Seen.IsZero() {
			gauge(nodeSilence, now.Sub(session.Seen).Seconds(), n.Name)
		}
		if session.Following && !session.AtEnd.IsZero() {
			gauge(nodeJournalLag, now.Sub(session.AtEnd).Seconds(), n.Name)
		}
		promised := v.Promised(n.ID)
		gauge(nodeContainers, float64(len(v.ContainersOnNode(n.ID))), n.Name)
		gauge(nodePromised, float64(promised.Memory), n.Name, "memory")
		gauge(nodePromised, float64(promised.Disk), n.Name, "disk")
		found := c.s.Findings(n.ID)
		gauge(nodeOrphans, float64(len(found.Orphans)), n.Name)
		gauge(nodeMissing, float64(len(found.Missing)), n.Name)
	}
}

func (c *collector) collectContainers(gauge gaugeFunc) {
	count := map[string]int{}
	for _, found := range c.s.Store.View().AllContainers() {
		status := string(found.State.Status)
		if status == "" {
			status = "created"
		}
		count[status]++
	}
	for status, n := range count {
		gauge(inStatus, float64(n), status)
	}
}

func (c *collector) collectMembers(gauge gaugeFunc) {
	type key struct{ role, alive string }
	count := map[key]int{}
	for _, m := range c.s.Members() {
		alive := "no"
		if m.Alive {
			alive = "yes"
		}
		count[key{string(m.Role), alive}]++
	}
	for k, n := range count {
		gauge(members, float64(n), k.role, k.alive)
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
