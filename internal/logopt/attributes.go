package logopt

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// selection says which of a container's labels, or variables of its
// environment, go with its log: those named, and those that a pattern matches.
type selection struct {
	names   []string
	pattern *regexp.Regexp // nil: none
}

func parseSelection(o *opts, name string) (s selection, err error) {
	if value := o.get(name); value != "" {
		s.names = strings.Split(value, ",")
	}
	if value := o.get(name + "-regex"); value != "" {
		if s.pattern, err = regexp.Compile(value); err != nil {
			return s, fmt.Errorf("invalid value for %s-regex: %w", name, err)
		}
	}
	return s, nil
}

func (s *selection) takes(name string) bool {
	return slices.Contains(s.names, name) || s.pattern != nil && s.pattern.MatchString(name)
}

// Attributes returns the labels and variables that the options labels,
// labels-regex, env and env-regex choose; the environment wins over a label of
// the same name. It is never nil.
func (c *Config) Attributes(of *Subject) map[string]string {
	chosen := map[string]string{}
	for name, value := range of.ContainerLabels {
		if c.labels.takes(name) {
			chosen[name] = value
		}
	}
	for _, pair := range of.ContainerEnv {
		if name, value, ok := strings.Cut(pair, "="); ok && c.env.takes(name) {
			chosen[name] = value
		}
	}
	return chosen
}

// Details are the attributes that docker logs --details shows: Attributes, and
// the tag if one was asked for.
func (c *Config) Details(of *Subject) (map[string]string, error) {
	details := c.Attributes(of)
	if c.tag == nil {
		return details, nil
	}
	tag, err := c.Tag(of)
	if err == nil && tag != "" {
		details["tag"] = tag
	}
	return details, err
}
