package dockerapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

func (s *server) startContainer(c *call) error {
	asked, err := c.startConfig()
	if err != nil {
		return err
	}
	if c.query.Get("checkpoint") != "" || c.query.Get("checkpoint-dir") != "" {
		return model.Errorf(model.KindNotImplemented, "checkpoints are not implemented: start the container without one")
	}
	if len(asked) > 0 {
		if err := s.applyStartConfig(c, asked); err != nil {
			return err
		}
	}
	if err := s.Containers.Start(c.ctx(), c.account, c.vars["id"]); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

// startConfig reads the HostConfig that old clients could send with a start:
// the members that say something, in the newest form.
func (c *call) startConfig() (map[string]json.RawMessage, error) {
	body, err := c.readBody()
	if err != nil {
		return nil, err
	}
	switch text := string(bytes.TrimSpace(body)); {
	case text == "", text == "null", text == "{}": // SDKs send these for nothing, to any version
		return nil, nil
	case !c.version.Has(compat.StartWithBody):
		return nil, invalid("starting a container with non-empty request body was deprecated since API v1.22 and removed in v1.24: give HostConfig when the container is created")
	}
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	asked := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&asked); err != nil {
		return nil, invalid("invalid value for HostConfig: the request body is not a JSON object")
	}
	prune(asked)
	if len(asked) > 0 && !c.version.Has(compat.AnyContentType) {
		if err := checkContentType(c.r.Header.Get("Content-Type")); err != nil {
			return nil, err
		}
	}
	return c.raiseHost(asked)
}

// raiseHost turns members of a HostConfig into their newest form. What its
// version has for a default was not asked for.
func (c *call) raiseHost(asked map[string]any) (map[string]json.RawMessage, error) {
	body, err := json.Marshal(map[string]any{"HostConfig": asked})
	if err != nil {
		return nil, fmt.Errorf("cannot encode a HostConfig: %w", err)
	}
	if body, err = compat.RaiseBody(compat.ContainerCreate, c.version, body); err != nil {
		return nil, fmt.Errorf("cannot raise a HostConfig: %w", err)
	}
	var raised struct{ HostConfig map[string]json.RawMessage }
	if err := json.Unmarshal(body, &raised); err != nil {
		return nil, fmt.Errorf("cannot read a HostConfig: %w", err)
	}
	for key := range raised.HostConfig {
		if _, given := asked[key]; !given {
			delete(raised.HostConfig, key)
		}
	}
	return raised.HostConfig, nil
}

// applyStartConfig changes what can be changed of a container that exists, its
// limits and its restart policy, and refuses all else that it has not already.
func (s *server) applyStartConfig(c *call, asked map[string]json.RawMessage) error {
	found, err := s.Containers.Get(c.ctx(), c.account, c.vars["id"])
	if err != nil || found.State.Status.Running() {
		return err
	}
	held, err := heldConfig(&found)
	if err != nil {
		return err
	}
	before, err := held.with(nil)
	if err != nil {
		return fmt.Errorf("cannot read the recorded request of container %s: %w", found.ID, err)
	}
	after, err := held.with(asked)
	if err != nil {
		return err
	}
	if sameCreation(before, after) {
		return nil
	}
	if fixed := held.fixed(before, asked); len(fixed) > 0 {
		return invalid("cannot change %s of container %s at its start: give what it needs when the container is created", strings.Join(fixed, ", "), found.ID)
	}
	if err := s.checkProcessors(c, &after.Spec.Limits); err != nil {
		return err
	}
	var change func(*model.Limits) error
	if !reflect.DeepEqual(before.Spec.Limits, after.Spec.Limits) {
		var wanted container.HostConfig
		if err := decodeHost(asked, &wanted); err != nil {
			return err
		}
		change = func(l *model.Limits) error { return setLimits(l, &wanted.Resources) }
	}
	var restart *model.RestartPolicy
	if before.Spec.Restart != after.Spec.Restart {
		restart = &after.Spec.Restart
	}
	_, err = s.Control.Update(c.ctx(), c.account, found.ID, change, restart)
	return err
}

// heldHost is the HostConfig that a container has now, member by member, and
// the name of its image.
type heldHost struct {
	image   string
	members map[string]json.RawMessage
}

func heldConfig(found *model.Container) (*heldHost, error) {
	asked := container.CreateRequest{}
	if len(found.DockerRequest) > 0 {
		if err := json.Unmarshal(found.DockerRequest, &asked); err != nil {
			return nil, fmt.Errorf("cannot read the recorded request of container %s: %w", found.ID, err)
		}
	}
	host := container.HostConfig{}
	if asked.HostConfig != nil {
		host = *asked.HostConfig
	}
	host.Resources = resourcesOf(&found.Spec.Limits, host.Resources)
	host.RestartPolicy = container.RestartPolicy{
		Name: container.RestartPolicyMode(found.Spec.Restart.Name), MaximumRetryCount: found.Spec.Restart.MaxRetries,
	}
	body, err := json.Marshal(host)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the configuration of container %s: %w", found.ID, err)
	}
	held := &heldHost{image: found.Spec.Image}
	if err := json.Unmarshal(body, &held.members); err != nil {
		return nil, fmt.Errorf("cannot read the configuration of container %s: %w", found.ID, err)
	}
	return held, nil
}

// with decodes, as create does, what the container would be with those members
// in the place of its own.
func (h *heldHost) with(asked map[string]json.RawMessage) (*model.CreateContainer, error) {
	members := map[string]json.RawMessage{}
	replaced := map[string]bool{}
	for key, value := range asked {
		members[key] = value
		replaced[fold(key)] = true
	}
	for key, value := range h.members {
		if !replaced[fold(key)] {
			members[key] = value
		}
	}
	body, err := json.Marshal(map[string]any{"Image": h.image, "HostConfig": members})
	if err != nil {
		return nil, fmt.Errorf("cannot encode a HostConfig: %w", err)
	}
	request := container.CreateRequest{NetworkingConfig: &network.NetworkingConfig{}}
	if err := unmarshal(body, &request); err != nil {
		return nil, err
	}
	d := creation{asked: &request}
	if err := d.decode(body); err != nil {
		return nil, err
	}
	d.out.Spec.Restart = canonicalRestart(d.out.Spec.Restart)
	return &d.out, nil
}

// canonicalRestart has one name for a policy that never restarts.
func canonicalRestart(p model.RestartPolicy) model.RestartPolicy {
	if p.Name == "" {
		p.Name = string(container.RestartPolicyDisabled)
	}
	return p
}

// fixed names the members that ask for something else than there is, and that
// can only be given at creation.
func (h *heldHost) fixed(before *model.CreateContainer, asked map[string]json.RawMessage) []string {
	var names []string
	for _, key := range sortedKeys(asked) {
		if updatable(key) {
			continue
		}
		after, err := h.with(map[string]json.RawMessage{key: asked[key]})
		if err != nil || !sameCreation(before, after) {
			names = append(names, "HostConfig."+clipKey(key))
		}
	}
	return names
}

// updatable reports whether an update can change a member of HostConfig.
func updatable(key string) bool {
	switch fold(key) {
	case "restartpolicy", "memory", "memoryswap", "memoryreservation", "cpushares", "cpuquota", "cpuperiod", "nanocpus",
		"cpurealtimeperiod", "cpurealtimeruntime", "cpusetcpus", "cpusetmems", "pidslimit", "blkioweight", "blkioweightdevice",
		"blkiodevicereadbps", "blkiodevicewritebps", "blkiodevicereadiops", "blkiodevicewriteiops":
		return true
	}
	return false
}

// sameCreation reports whether two requests ask for the same container.
func sameCreation(a, b *model.CreateContainer) bool {
	return reflect.DeepEqual(a.Spec, b.Spec) && reflect.DeepEqual(a.Asked, b.Asked) && slices.Equal(a.Unsupported, b.Unsupported) && a.PublishAll == b.PublishAll
}

func decodeHost(members map[string]json.RawMessage, to *container.HostConfig) error {
	body, err := json.Marshal(members)
	if err != nil {
		return fmt.Errorf("cannot encode a HostConfig: %w", err)
	}
	return unmarshal(body, to)
}
