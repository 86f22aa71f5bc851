package raftstore

import (
	"time"

	"github.com/hashicorp/raft"
)

const (
	logCacheSize = 512
	// A snapshot is taken after snapshotThreshold entries and leaves the last
	// trailingLogs in the log for heads that are a little behind. Together
	// they bound what is read and checked at a start.
	snapshotThreshold = 4096
	trailingLogs      = 2048
)

// raftConfig has timeouts for heads in one data center: a dead leader is
// replaced in about one to two seconds, and a leader that a busy machine keeps
// from running for half a second stays. Pre-vote is on by default
// and keeps a head that was cut off from forcing an election when it is back.
func raftConfig(cfg Config) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(cfg.ID)
	c.HeartbeatTimeout = 750 * time.Millisecond
	c.ElectionTimeout = 750 * time.Millisecond
	// Fresh reads do not depend on the lease, so that it is nearly as long as
	// it may be.
	c.LeaderLeaseTimeout = 700 * time.Millisecond
	c.CommitTimeout = 50 * time.Millisecond // see nudges
	c.MaxAppendEntries = 256
	c.SnapshotInterval = 30 * time.Second
	c.SnapshotThreshold = snapshotThreshold
	c.TrailingLogs = trailingLogs
	c.NoLegacyTelemetry = true
	c.Logger = raftLogger(cfg.Logger)
	return c
}
