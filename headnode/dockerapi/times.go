package dockerapi

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// pastTime reads the time of an "until" filter: seconds since 1970, a date with
// or without a time of day, or how long ago ("10m").
func pastTime(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02Z07:00", "2006-01-02",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if t, err := parseSeconds(text); err == nil {
		return t, nil
	}
	return time.Time{}, model.Errorf(model.KindInvalid, "invalid filter 'until=%.40s': use a time in seconds since 1970, a date, or how long ago, as in 10m", text)
}
