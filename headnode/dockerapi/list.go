package dockerapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

// listContainers answers from the last encoded answer while that is still
// right: nothing of the account has changed, and the clock has not moved on by
// a second, which the texts of the statuses show.
func (s *server) listContainers(c *call) error {
	all, number, err := s.Containers.List(c.ctx(), c.account)
	if err != nil {
		return err
	}
	now := s.now()
	if c.query.bool("size") {
		return s.listSizes(c, all, now)
	}
	key := listKey{account: c.account.ID, query: c.query.Encode(), version: c.version}
	body, err := s.lists.get(key, listState{number, now.Unix()}, func(last listParts) ([]byte, listParts, error) {
		return s.encodeList(c, all, now, last)
	})
	if err != nil {
		return err
	}
	return c.send(http.StatusOK, body)
}

// encodeList encodes the selected containers, those that have not changed since
// the last answer by copying.
func (s *server) encodeList(c *call, all []*model.Container, now time.Time, last listParts) ([]byte, listParts, error) {
	selection, err := newSelection(c.ctx(), c.query, all, s.networkNames(), s.places())
	if err != nil {
		return nil, nil, err
	}
	parts := make(listParts, len(last))
	bodies, size := make([][]byte, 0, len(last)), len("[]")
	for _, found := range selection.of(all) {
		part := listPart{status: selection.statusText(found, now), networks: selection.names.of(c.ctx(), found)}
		if known := last[found]; known.body != nil && known.status == part.status && known.networks == part.networks {
			part = known
		} else if part.body, err = encodeSummary(c, summary(c.ctx(), found, part.status, selection.names)); err != nil {
			return nil, nil, err
		}
		parts[found] = part
		bodies = append(bodies, part.body)
		size += len(part.body) + len(",")
	}
	return joinList(bodies, size), parts, nil
}

// listSizes answers with the sizes of containers, which are measured each time.
func (s *server) listSizes(c *call, all []*model.Container, now time.Time) error {
	selection, err := newSelection(c.ctx(), c.query, all, s.networkNames(), s.places())
	if err != nil {
		return err
	}
	selected := selection.of(all)
	sizes, err := s.sizes(c, selected)
	if err != nil {
		return err
	}
	summaries := []*container.Summary{}
	for _, found := range selected {
		sum := summary(c.ctx(), found, selection.statusText(found, now), selection.names)
		sum.SizeRw, sum.SizeRootFs = sizes[found.ID].RW, sizes[found.ID].Root
		summaries = append(summaries, sum)
	}
	return c.answer(http.StatusOK, summaries)
}

// joinList makes a JSON list of at most size bytes.
func joinList(elements [][]byte, size int) []byte {
	body := append(make([]byte, 0, size), '[')
	for i, element := range elements {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, element...)
	}
	return append(body, ']')
}

func encodeSummary(c *call, sum *container.Summary) ([]byte, error) {
	body, err := json.Marshal(sum)
	if err != nil {
		return nil, fmt.Errorf("cannot encode container %s: %w", sum.ID, err)
	}
	return compat.Lower(c.route, c.version, body)
}

func summary(ctx context.Context, c *model.Container, status string, names *networkNames) *container.Summary {
	sum := &container.Summary{
		ID: c.ID, Names: []string{"/" + c.Name}, Image: c.Spec.Image, ImageID: c.Spec.ImageID,
		Command: commandText(c.Spec.Args()), Created: c.Created.Unix(), Ports: listedPorts(c, names.endpoints),
		Labels: labelsOf(c), State: container.ContainerState(currentStatus(c)), Status: status,
		NetworkSettings: &container.NetworkSettingsSummary{Networks: endpoints(ctx, c, names)},
		Mounts:          mountPoints(c),
	}
	sum.HostConfig.NetworkMode, sum.HostConfig.Annotations = networkMode(c), c.Spec.Annotations
	health := &container.HealthSummary{Status: container.HealthStatus(healthStatus(c.State.Health))}
	if c.State.Health != nil {
		health.FailingStreak = c.State.Health.FailingStreak
	}
	sum.Health = health
	return sum
}
