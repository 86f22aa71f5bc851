package model

import "time"

// Healthcheck says how a node finds out whether a container does its work.
// Zero times and counts are the defaults that Docker documents.
type Healthcheck struct {
	// Test is {"CMD", args…}, {"CMD-SHELL", command} or {"NONE"}; empty takes
	// the image's.
	Test []string `json:"test,omitempty"`
	// Shell runs the command of CMD-SHELL, as the image says; empty is
	// {"/bin/sh", "-c"}.
	Shell         []string      `json:"shell,omitempty"`
	Interval      time.Duration `json:"interval,omitempty"`       // between two probes; 0 is 30 s
	Timeout       time.Duration `json:"timeout,omitempty"`        // after which a probe has failed; 0 is 30 s
	StartPeriod   time.Duration `json:"start_period,omitempty"`   // in which failures do not count
	StartInterval time.Duration `json:"start_interval,omitempty"` // between two probes of the start period; 0 is 5 s
	Retries       int           `json:"retries,omitempty"`        // failures in a row until it is unhealthy; 0 is 3
}

// HealthStatus is what the newest probes say, in Docker's words.
type HealthStatus string

// The states of health. A container without a health check has HealthNone.
const (
	HealthNone      HealthStatus = "none"
	HealthStarting  HealthStatus = "starting"
	HealthHealthy   HealthStatus = "healthy"
	HealthUnhealthy HealthStatus = "unhealthy"
)

// Health is what a node's probes found. The replicated state learns of changes
// of Status only; the newest FailingStreak and Log are the node's.
type Health struct {
	Status        HealthStatus  `json:"status"`
	FailingStreak int           `json:"failing_streak,omitempty"`
	Log           []HealthProbe `json:"log,omitempty"` // the newest five, oldest first
}

// HealthProbe is one run of a health check.
type HealthProbe struct {
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	ExitCode int       `json:"exit_code"`        // 0 healthy, 1 unhealthy, -1 where the probe could not be run or took too long
	Output   string    `json:"output,omitempty"` // 4,096 bytes at most
}
