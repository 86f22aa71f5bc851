package dockerapi

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/spearheadcloud/spearhead/model"
)

// selection decides which containers a list shows.
type selection struct {
	ctx     context.Context
	names   *networkNames
	places  *places
	filters filters
	limit   int  // 0 is all
	stopped bool // those that do not run, too

	ids, nameRules []*regexp.Regexp
	exited         []int
	before, since  *model.Container
	none           bool // nothing can match
}

// newSelection reads the parameters of a list. all are the account's containers,
// among which before and since are looked up.
func newSelection(ctx context.Context, q query, all []*model.Container, names *networkNames, where *places) (*selection, error) {
	f, err := q.filters("ancestor", "annotation", "before", "exited", "expose", "health", "id", "is-task", "isolation",
		"label", "name", "network", "node", "publish", "since", "status", "volume")
	if err != nil {
		return nil, err
	}
	s := &selection{ctx: ctx, names: names, places: where, filters: f, stopped: q.bool("all")}
	limit, _, err := q.int("limit")
	if err != nil {
		return nil, err
	}
	if limit > 0 {
		s.limit, s.stopped = limit, true
	}
	for _, read := range []func([]*model.Container) error{s.readRules, s.readStatus, s.readOrder, s.readFlags} {
		if err := read(all); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *selection) readRules([]*model.Container) error {
	for name, rules := range map[string]*[]*regexp.Regexp{"id": &s.ids, "name": &s.nameRules} {
		for _, text := range s.filters[name] {
			if len(text) > 1024 {
				return model.Errorf(model.KindInvalid, "invalid filter '%s': the expression is longer than 1024 characters", name)
			}
			rule, err := regexp.Compile(text)
			if err != nil {
				return model.Errorf(model.KindInvalid, "invalid filter '%s=%.40s': it is no regular expression", name, text)
			}
			*rules = append(*rules, rule)
		}
	}
	return nil
}

func (s *selection) readStatus([]*model.Container) error {
	for _, text := range s.filters["status"] {
		switch model.Status(text) {
		case model.StatusCreated, model.StatusRunning, model.StatusPaused, model.StatusRestarting,
			model.StatusRemoving, model.StatusExited, model.StatusDead:
			s.stopped = true
		default:
			return model.Errorf(model.KindInvalid, "invalid filter 'status=%.40s': use created, running, paused, restarting, removing, exited or dead", text)
		}
	}
	for _, text := range s.filters["exited"] {
		code, err := strconv.Atoi(text)
		if err != nil {
			return model.Errorf(model.KindInvalid, "invalid filter 'exited=%.40s': it is not a number", text)
		}
		s.exited, s.stopped = append(s.exited, code), true
	}
	return nil
}

// readOrder finds the containers that before and since name. With several, the
// narrowest counts.
func (s *selection) readOrder(all []*model.Container) error {
	for _, ref := range s.filters["before"] {
		found, err := lookUp(all, ref)
		if err != nil {
			return err
		}
		if s.before == nil || found.Created.Before(s.before.Created) {
			s.before, s.stopped = found, true
		}
	}
	for _, ref := range s.filters["since"] {
		found, err := lookUp(all, ref)
		if err != nil {
			return err
		}
		if s.since == nil || found.Created.After(s.since.Created) {
			s.since, s.stopped = found, true
		}
	}
	return nil
}

// lookUp finds a container by id, name or unique prefix.
func lookUp(all []*model.Container, ref string) (*model.Container, error) {
	name := strings.TrimPrefix(ref, "/")
	var found *model.Container
	for _, c := range all {
		if c.ID == ref || c.Name == name {
			return c, nil
		}
		if model.IsIDPrefix(ref) && strings.HasPrefix(c.ID, ref) {
			if found != nil {
				return nil, model.Errorf(model.KindInvalid, "multiple IDs found with provided prefix: %.64s", ref)
			}
			found = c
		}
	}
	if found == nil {
		return nil, model.Errorf(model.KindNotFound, "No such container: %.128s", ref)
	}
	return found, nil
}

func (s *selection) readFlags([]*model.Container) error {
	tasks, given, err := s.filters.flag("is-task")
	if err != nil {
		return err
	}
	if given && tasks {
		s.none = true // no container is a task of a swarm
	}
	for _, text := range s.filters["health"] {
		switch model.HealthStatus(text) {
		case model.HealthNone, model.HealthStarting, model.HealthHealthy, model.HealthUnhealthy:
		default:
			return model.Errorf(model.KindInvalid, "invalid filter 'health=%.40s': use none, starting, healthy or unhealthy", text)
		}
	}
	for _, name := range []string{"publish", "expose"} {
		for _, text := range s.filters[name] {
			if _, _, _, err := portRange(text); err != nil {
				return err
			}
		}
	}
	return nil
}

// of returns the selected ones, at most as many as were asked for.
func (s *selection) of(all []*model.Container) []*model.Container {
	selected := make([]*model.Container, 0, len(all))
	for _, c := range all {
		if s.limit > 0 && len(selected) >= s.limit {
			break
		}
		if s.has(c) {
			selected = append(selected, c)
		}
	}
	return selected
}

// has reports whether a container is selected.
func (s *selection) has(c *model.Container) bool {
	status := currentStatus(c)
	if s.none || !s.stopped && !status.Running() && status != model.StatusRestarting {
		return false
	}
	if s.before != nil && !c.Created.Before(s.before.Created) || s.since != nil && !c.Created.After(s.since.Created) {
		return false
	}
	return s.hasIdentity(c) && s.hasState(c, status) && s.hasParts(c)
}

func (s *selection) hasIdentity(c *model.Container) bool {
	if len(s.ids) > 0 && !slices.ContainsFunc(s.ids, func(r *regexp.Regexp) bool { return r.MatchString(c.ID) }) {
		return false
	}
	matches := func(r *regexp.Regexp) bool { return r.MatchString(c.Name) || r.MatchString("/"+c.Name) }
	if len(s.nameRules) > 0 && !slices.ContainsFunc(s.nameRules, matches) {
		return false
	}
	return s.hasLabels(c) && s.filters.labels("annotation", c.Spec.Annotations)
}

// hasLabels looks for labels, and for the package under both of its names.
func (s *selection) hasLabels(c *model.Container) bool {
	if len(s.filters["label"]) == 0 {
		return true
	}
	labels := labelsOf(c)
	labels[model.LabelPackage] = c.Package
	return s.filters.labels("label", labels)
}

func (s *selection) hasState(c *model.Container, status model.Status) bool {
	if want := s.filters["status"]; len(want) > 0 && !slices.Contains(want, string(status)) {
		return false
	}
	if want := s.filters["health"]; len(want) > 0 && !slices.Contains(want, string(healthStatus(c.State.Health))) {
		return false
	}
	if len(s.exited) == 0 {
		return true
	}
	ended := !c.State.FinishedAt.IsZero() && !status.Running()
	return ended && slices.Contains(s.exited, c.State.ExitCode)
}

func (s *selection) hasParts(c *model.Container) bool {
	if len(s.filters) == 0 {
		return true
	}
	parts := map[string]func(want string) bool{
		"ancestor": func(want string) bool { return madeFrom(c, want) },
		// all are isolated in the one way that there is
		"isolation": func(want string) bool { return want == "" || want == "default" },
		"network":   func(want string) bool { return s.isOn(c, want) },
		"node":      func(want string) bool { return s.places.of(s.ctx, c).is(want) },
		"volume":    func(want string) bool { return mounts(c, want) },
		"expose":    func(want string) bool { return hasPort(c, want, false) },
		"publish":   func(want string) bool { return hasPort(c, want, true) },
	}
	for name, match := range parts {
		if want := s.filters[name]; len(want) > 0 && !slices.ContainsFunc(want, match) {
			return false
		}
	}
	return true
}

// statusText is the status as docker ps prints it, with a mark if it may be
// old.
func (s *selection) statusText(c *model.Container, now time.Time) string {
	text := statusText(c, now)
	if s.places.lost(s.ctx, c) {
		text += unreachable
	}
	return text
}

// madeFrom reports whether ref names the container's image: by the name that
// it was created with, or by the image's id.
func madeFrom(c *model.Container, ref string) bool {
	id := strings.TrimPrefix(c.Spec.ImageID, "sha256:")
	if prefix := strings.TrimPrefix(ref, "sha256:"); len(prefix) >= 4 && model.IsIDPrefix(prefix) && strings.HasPrefix(id, prefix) {
		return true
	}
	return normalName(ref) == normalName(c.Spec.Image)
}

// normalName is the whole form of an image's name, with the tag latest if it
// has none.
func normalName(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.TagNameOnly(named).String()
}

func (s *selection) isOn(c *model.Container, network string) bool {
	if c.Spec.Network == network || ownNetwork(network) == "" && c.Spec.Network == "" {
		return true
	}
	return slices.ContainsFunc(c.NICs, func(n model.NIC) bool {
		return n.NetworkID == network || s.names.name(s.ctx, n.NetworkID) == network
	})
}

func mounts(c *model.Container, path string) bool {
	return slices.ContainsFunc(c.Spec.Mounts, func(m model.Mount) bool { return m.Target == path || m.Source == path })
}

// portRange reads "80", "80/udp" or "8000-8010/tcp".
func portRange(text string) (first, last uint16, protocol string, err error) {
	ports, protocol, _ := strings.Cut(text, "/")
	if protocol == "" {
		protocol = "tcp"
	}
	low, high, ranged := strings.Cut(ports, "-")
	if !ranged {
		high = low
	}
	a, errA := strconv.ParseUint(low, 10, 16)
	b, errB := strconv.ParseUint(high, 10, 16)
	if errA != nil || errB != nil || a > b {
		return 0, 0, "", model.Errorf(model.KindInvalid, "invalid port filter %.40q: use a port or a range, optionally with /tcp, /udp or /sctp", text)
	}
	return uint16(a), uint16(b), protocol, nil
}

func hasPort(c *model.Container, text string, published bool) bool {
	first, last, protocol, err := portRange(text)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(c.Spec.Ports, func(p model.Port) bool {
		return p.Number >= first && p.Number <= last && p.Protocol == protocol && (p.Published || !published)
	})
}
