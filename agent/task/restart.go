package task

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// A container that ends soon after its start is started again after a delay
// that doubles each time; one that ran for steadyRun has earned the shortest.
const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = time.Minute
	steadyRun  = 10 * time.Second
)

// wantsRestart tells whether policy starts a container again that ended by
// itself with the given code, after so many restarts.
func wantsRestart(policy model.RestartPolicy, exitCode, restarts int) bool {
	switch policy.Name {
	case "always", "unless-stopped":
		return true
	case "on-failure":
		return exitCode != 0 && (policy.MaxRetries == 0 || restarts < policy.MaxRetries)
	}
	return false
}

// restartDelay is the pause after so many quick ends in a row before this one.
func restartDelay(quickEnds int) time.Duration {
	if quickEnds > 9 { // 100 ms · 2^9 is within a minute, the next is not
		return maxDelay
	}
	return firstDelay << quickEnds
}
