package dockerapi

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

func (s *server) updateContainer(c *call) error {
	if c.version.Has(compat.NoUpdate) {
		return errPageNotFound
	}
	asked, restart, err := c.updateRequest()
	if err != nil {
		return err
	}
	found, err := s.Containers.Get(c.ctx(), c.account, c.vars["id"])
	if err != nil {
		return err
	}
	if restart != nil && found.Spec.AutoRemove && !asked.RestartPolicy.IsNone() {
		return invalid("Restart policy cannot be updated because AutoRemove is enabled for the container")
	}
	if err := s.checkProcessors(c, &model.Limits{NanoCPUs: asked.NanoCPUs}); err != nil {
		return err
	}
	change := func(l *model.Limits) error { return setLimits(l, &asked.Resources) }
	if reflect.ValueOf(asked.Resources).IsZero() {
		change = nil
	}
	warnings, err := s.Control.Update(c.ctx(), c.account, found.ID, change, restart)
	if err != nil {
		return err
	}
	if warnings == nil {
		warnings = []string{}
	}
	return c.answer(http.StatusOK, container.UpdateResponse{Warnings: warnings})
}

// updateRequest reads what to change. The restart policy is nil where it
// stays.
func (c *call) updateRequest() (*container.UpdateConfig, *model.RestartPolicy, error) {
	var asked container.UpdateConfig
	body, err := c.decode(&asked)
	if err != nil {
		return nil, nil, err
	}
	if err := checkUpdate(body, &asked); err != nil {
		return nil, nil, err
	}
	if err := checkResources(&asked.Resources); err != nil {
		return nil, nil, err
	}
	if asked.RestartPolicy.Name == "" && asked.RestartPolicy.MaximumRetryCount == 0 {
		return &asked, nil, nil
	}
	if err := container.ValidateRestartPolicy(asked.RestartPolicy); err != nil {
		return nil, nil, invalid("%s", err)
	}
	return &asked, &model.RestartPolicy{Name: string(asked.RestartPolicy.Name), MaxRetries: asked.RestartPolicy.MaximumRetryCount}, nil
}

// checkUpdate refuses what a container is given at its creation, for good, and
// what is no field at all.
func checkUpdate(body []byte, asked *container.UpdateConfig) error {
	r := &asked.Resources
	for field, given := range map[string]bool{
		"CgroupParent": r.CgroupParent != "", "Devices": len(r.Devices) > 0, "DeviceCgroupRules": len(r.DeviceCgroupRules) > 0,
		"DeviceRequests": len(r.DeviceRequests) > 0, "MemorySwappiness": r.MemorySwappiness != nil && *r.MemorySwappiness != -1,
		"OomKillDisable": r.OomKillDisable != nil && *r.OomKillDisable, "Ulimits": len(r.Ulimits) > 0,
	} {
		if given {
			return invalid("cannot update %s: it is decided when a container is created; create another one", field)
		}
	}
	keys := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &keys); err != nil {
		return invalid("invalid JSON in the request body")
	}
	known := fieldsOf(reflect.TypeFor[container.UpdateConfig]())
	var missing []string
	for _, field := range []string{"CpuCount", "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth"} {
		delete(known, fold(field))
	}
	for _, key := range sortedKeys(keys) {
		if !known[fold(key)] && !emptyJSON(keys[key]) {
			missing = append(missing, clipKey(key))
		}
	}
	if len(missing) > 0 {
		return model.Errorf(model.KindNotImplemented, "updating %s is not implemented by this server", strings.Join(missing, ", "))
	}
	return nil
}
