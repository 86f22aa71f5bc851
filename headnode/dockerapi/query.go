package dockerapi

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// Bounds on what a query may hold.
const (
	maxParameters   = 256
	maxFilterValues = 512
)

// query is the parameters of a request.
type query struct{ url.Values }

func parseQuery(raw string) (query, error) {
	if strings.Count(raw, "&") >= maxParameters {
		return query{}, model.Errorf(model.KindInvalid, "too many query parameters: at most %d are allowed", maxParameters)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, model.Errorf(model.KindInvalid, "invalid query parameters: they are not URL-encoded")
	}
	return query{values}, nil
}

// bool reads a boolean as Docker does, and as Python programs write it.
func (q query) bool(name string) bool {
	switch strings.ToLower(strings.TrimSpace(q.Get(name))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

// boolOr is bool for a parameter that is value when it is missing.
func (q query) boolOr(name string, value bool) bool {
	if !q.Has(name) {
		return value
	}
	return q.bool(name)
}

// int reads a whole number; missing tells that the parameter is not there or
// empty.
func (q query) int(name string) (value int, missing bool, err error) {
	text := q.Get(name)
	if text == "" {
		return 0, true, nil
	}
	value, err = strconv.Atoi(text)
	if err != nil || value > math.MaxInt32 || value < math.MinInt32 {
		return 0, false, model.Errorf(model.KindInvalid, "invalid value for %q: %.40q is not a whole number", name, text)
	}
	return value, false, nil
}

// time reads seconds since 1970, with or without a fraction, or an RFC 3339
// time. It is zero when the parameter is missing or "0".
func (q query) time(name string) (time.Time, error) {
	text := q.Get(name)
	if text == "" || text == "0" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	t, err := parseSeconds(text)
	if err != nil {
		return time.Time{}, model.Errorf(model.KindInvalid, "invalid value for %q: %.40q is neither a time in seconds since 1970 nor in RFC 3339", name, text)
	}
	return t, nil
}

// parseSeconds reads seconds since 1970, with or without a fraction.
func parseSeconds(text string) (time.Time, error) {
	seconds, fraction, _ := strings.Cut(text, ".")
	whole, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || len(fraction) > 9 || strings.Trim(fraction, "0123456789") != "" || whole > 1<<40 || whole < -1<<40 {
		return time.Time{}, fmt.Errorf("%.40q is no number of seconds", text)
	}
	nanos, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%.40q is no number of seconds", text)
	}
	return time.Unix(whole, nanos), nil
}

// filters are the values of each filter, any of which may hold unless the filter says
// otherwise.
type filters map[string][]string

// filters reads the parameter of that name in both of its forms:
// {"label":{"a=b":true}} and {"label":["a=b"]}, and refuses a filter that is
// not among the known ones.
func (q query) filters(known ...string) (filters, error) {
	text := q.Get("filters")
	if text == "" {
		return nil, nil
	}
	raw := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, model.Errorf(model.KindInvalid, "invalid filters: they are not a JSON object")
	}
	f, count := filters{}, 0
	for name, value := range raw {
		values, err := filterValues(value)
		if err != nil {
			return nil, model.Errorf(model.KindInvalid, "invalid filter %.40q: %s", name, err)
		}
		if !slices.Contains(known, name) {
			return nil, model.Errorf(model.KindInvalid, "invalid filter %.40q", name)
		}
		if count += len(values); count > maxFilterValues {
			return nil, model.Errorf(model.KindInvalid, "too many filter values: at most %d are allowed", maxFilterValues)
		}
		f[name] = values
	}
	return f, nil
}

func filterValues(raw json.RawMessage) ([]string, error) {
	set := map[string]bool{}
	if json.Unmarshal(raw, &set) == nil {
		values := make([]string, 0, len(set))
		for value, on := range set {
			if on {
				values = append(values, value)
			}
		}
		return values, nil
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list, nil
	}
	return nil, fmt.Errorf("its values are neither a list of strings nor an object of booleans")
}

// flag reads a filter that is true or false; given tells whether it is there.
func (f filters) flag(name string) (value, given bool, err error) {
	values := f[name]
	if len(values) == 0 {
		return false, false, nil
	}
	for i, text := range values {
		var v bool
		switch strings.ToLower(text) {
		case "1", "true":
			v = true
		case "0", "false":
		default:
			return false, false, model.Errorf(model.KindInvalid, "invalid filter '%s=%.40s': use true or false", name, text)
		}
		if i > 0 && v != value {
			return false, false, model.Errorf(model.KindInvalid, "invalid filter '%s': it is both true and false", name)
		}
		value = v
	}
	return value, true, nil
}

// labels reports whether each of the wanted labels, "key" or "key=value", is
// among the given.
func (f filters) labels(name string, labels map[string]string) bool {
	for _, want := range f[name] {
		key, value, exact := strings.Cut(want, "=")
		got, ok := labels[key]
		if !ok || exact && got != value {
			return false
		}
	}
	return true
}
