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
	key := listKey{account: c.account.ID, query: c.query.Encode(), version: c.version}
	body, err := s.lists.get(key, listState{number, now.Unix()}, func() ([]byte, error) {
		return s.encodeList(c, all, now)
	})
	if err != nil {
		return err
	}
	return c.send(http.StatusOK, body)
}

func (s *server) encodeList(c *call, all []*model.Container, now time.Time) ([]byte, error) {
	selection, err := newSelection(c.ctx(), c.query, all, s.networkNames())
	if err != nil {
		return nil, err
	}
	summaries := []*container.Summary{}
	for _, found := range all {
		if selection.limit > 0 && len(summaries) >= selection.limit {
			break
		}
		if selection.has(found) {
			summaries = append(summaries, summary(c.ctx(), found, now, selection.names))
		}
	}
	body, err := json.Marshal(summaries)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the list of containers: %w", err)
	}
	return compat.Lower(c.route, c.version, body)
}

func summary(ctx context.Context, c *model.Container, now time.Time, names *networkNames) *container.Summary {
	sum := &container.Summary{
		ID: c.ID, Names: []string{"/" + c.Name}, Image: c.Spec.Image, ImageID: c.Spec.ImageID,
		Command: commandText(c.Spec.Args()), Created: c.Created.Unix(), Ports: listedPorts(c),
		Labels: c.Spec.Labels, State: container.ContainerState(currentStatus(c)), Status: statusText(c, now),
		NetworkSettings: &container.NetworkSettingsSummary{Networks: endpoints(ctx, c, names)},
		Mounts:          mountPoints(c),
	}
	if sum.Labels == nil {
		sum.Labels = map[string]string{}
	}
	sum.HostConfig.NetworkMode = networkMode(c)
	return sum
}
