package dockerapi

import (
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/model"
)

// healthcheckOf reads a health check; nil where none is asked for.
func healthcheckOf(asked *container.HealthConfig) (*model.Healthcheck, error) {
	if asked == nil {
		return nil, nil
	}
	for _, t := range []struct {
		field string
		value time.Duration
	}{
		{"Interval", asked.Interval}, {"Timeout", asked.Timeout}, {"StartPeriod", asked.StartPeriod}, {"StartInterval", asked.StartInterval},
	} {
		if t.value != 0 && t.value < container.MinimumDuration {
			return nil, invalid("%s in Healthcheck cannot be less than %s", t.field, container.MinimumDuration)
		}
	}
	if asked.Retries < 0 {
		return nil, invalid("Retries in Healthcheck cannot be negative")
	}
	if len(asked.Test) > 0 {
		if err := checkTest(asked.Test); err != nil {
			return nil, err
		}
	}
	check := &model.Healthcheck{
		Test: noneIfEmpty(asked.Test), Interval: asked.Interval, Timeout: asked.Timeout, StartPeriod: asked.StartPeriod,
		StartInterval: asked.StartInterval, Retries: asked.Retries,
	}
	if len(check.Test) == 0 && check.Interval|check.Timeout|check.StartPeriod|check.StartInterval == 0 && check.Retries == 0 {
		return nil, nil
	}
	return check, nil
}

// checkTest refuses a test that no probe could be made of.
func checkTest(test []string) error {
	switch test[0] {
	case "NONE":
		if len(test) > 1 {
			return invalid("invalid value for Healthcheck.Test: NONE stands alone")
		}
	case "CMD":
		if len(test) < 2 {
			return invalid("invalid value for Healthcheck.Test: no command follows CMD")
		}
	case "CMD-SHELL":
		if len(test) != 2 {
			return invalid("invalid value for Healthcheck.Test: one command line follows CMD-SHELL")
		}
	default:
		return invalid("Unknown healthcheck type '%.32s' in Healthcheck.Test (expected 'NONE', 'CMD' or 'CMD-SHELL')", test[0])
	}
	if slices.ContainsFunc(test, func(arg string) bool { return strings.ContainsRune(arg, 0) }) {
		return invalid("invalid value for Healthcheck.Test: an argument holds a zero byte")
	}
	return nil
}
