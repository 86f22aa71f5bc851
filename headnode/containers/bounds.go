package containers

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Bounds of what one request may carry, in bytes and labels.
const (
	maxEnv    = 256 << 10
	maxLabels = 256
	maxLabel  = 4 << 10
	// maxRecord bounds what the heads agree on and keep for one container, of
	// which recordReserve is for what a request does not say: ids, addresses,
	// state.
	maxRecord     = 512 << 10
	recordReserve = 8 << 10
)

func checkBounds(r *model.CreateContainer) error {
	if r.Name != "" {
		if err := model.CheckContainerName(r.Name); err != nil {
			return err
		}
	}
	size := 0
	for _, e := range r.Spec.Env {
		size += len(e)
	}
	if size > maxEnv {
		return model.Errorf(model.KindInvalid, "Env has %d bytes, more than the %d allowed", size, maxEnv)
	}
	if len(r.Spec.Labels) > maxLabels {
		return model.Errorf(model.KindInvalid, "Labels has %d entries, more than the %d allowed", len(r.Spec.Labels), maxLabels)
	}
	for k, val := range r.Spec.Labels {
		if len(k)+len(val) > maxLabel {
			return model.Errorf(model.KindInvalid, "a label in Labels is longer than the %d bytes allowed", maxLabel)
		}
	}
	return nil
}

// checkSize refuses a container whose record, the image's part included, would
// be larger than the heads want to carry in one entry of their log.
func (p *plan) checkSize(*state.View) error {
	body, err := json.Marshal(model.Container{
		Name: p.request.Name, Spec: p.request.Spec, Operation: p.request.Operation, DockerRequest: p.request.DockerRequest,
	})
	if err != nil {
		return fmt.Errorf("cannot encode container: %w", err)
	}
	const most = maxRecord - recordReserve
	if len(body) <= most {
		return nil
	}
	field, bytes, err := largestField(&p.request)
	if err != nil {
		return err
	}
	return model.Errorf(model.KindTooLarge, "the container's description takes %d bytes, more than the %d allowed; the largest field is %s with %d bytes: make it smaller",
		len(body), most, field, bytes)
}

// largestField names, in Docker's terms, the field of a request that takes the
// most bytes. What the recorded request leaves out is in the specification.
func largestField(r *model.CreateContainer) (name string, size int, err error) {
	spec := &r.Spec
	fields := map[string]any{
		"Image": spec.Image, "Entrypoint": spec.Entrypoint, "Cmd": spec.Cmd, "Env": spec.Env, "Labels": spec.Labels,
		"User": spec.User, "WorkingDir": spec.WorkingDir, "ExposedPorts": spec.Ports,
		"HostConfig.Links": spec.Links,
	}
	recorded := map[string]json.RawMessage{}
	host := map[string]json.RawMessage{}
	if len(r.DockerRequest) > 0 {
		if err := json.Unmarshal(r.DockerRequest, &recorded); err != nil {
			return "", 0, fmt.Errorf("cannot read the recorded create request: %w", err)
		}
	}
	for key, value := range recorded {
		if !strings.EqualFold(key, "HostConfig") {
			fields[key] = value
		} else if err := json.Unmarshal(value, &host); err != nil {
			return "", 0, fmt.Errorf("cannot read the recorded create request: %w", err)
		}
	}
	for key, value := range host {
		fields["HostConfig."+key] = value
	}
	for key, value := range fields {
		encoded, err := json.Marshal(value)
		if err != nil {
			return "", 0, fmt.Errorf("cannot encode %s: %w", key, err)
		}
		if len(encoded) > size || len(encoded) == size && key < name {
			name, size = key, len(encoded)
		}
	}
	return name, size, nil
}
