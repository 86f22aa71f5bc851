package health

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// What holds where a check does not say, as Docker documents it.
const (
	defaultInterval      = 30 * time.Second
	defaultTimeout       = 30 * time.Second
	defaultStartInterval = 5 * time.Second
	defaultRetries       = 3
)

// logLength is how many probes are remembered.
const logLength = 5

// Command is the command line of a check; nil where there is nothing to run.
func Command(check *model.Healthcheck) []string {
	if check == nil || len(check.Test) < 2 {
		return nil // also {"NONE"}
	}
	switch check.Test[0] {
	case "CMD":
		return check.Test[1:]
	case "CMD-SHELL":
		shell := check.Shell
		if len(shell) == 0 {
			shell = []string{"/bin/sh", "-c"}
		}
		return append(append([]string(nil), shell...), check.Test[1:]...)
	}
	return nil
}

// judge returns what h becomes by one more probe. A failure does not count
// while the container has not been healthy and is in its start period.
func judge(check *model.Healthcheck, h model.Health, started time.Time, p model.HealthProbe) model.Health {
	kept := h.Log[max(0, len(h.Log)-logLength+1):]
	h.Log = append(append(make([]model.HealthProbe, 0, logLength), kept...), p)
	if p.ExitCode == 0 {
		h.Status, h.FailingStreak = model.HealthHealthy, 0
		return h
	}
	if h.Status == model.HealthStarting && p.Start.Sub(started) < check.StartPeriod {
		return h
	}
	h.FailingStreak++
	retries := check.Retries
	if retries <= 0 {
		retries = defaultRetries
	}
	if h.FailingStreak >= retries {
		h.Status = model.HealthUnhealthy
	}
	return h
}

// pause is the time until the next probe.
func pause(check *model.Healthcheck, status model.HealthStatus, started, now time.Time) time.Duration {
	if status == model.HealthStarting && now.Sub(started) < check.StartPeriod {
		return or(check.StartInterval, defaultStartInterval)
	}
	return or(check.Interval, defaultInterval)
}

func or(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}
