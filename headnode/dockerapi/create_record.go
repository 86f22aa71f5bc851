package dockerapi

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/moby/moby/api/types/container"
)

// record keeps the request for inspect, without what the specification holds
// already and without fields that say nothing: it is replicated to every head and
// kept as long as the container.
func (d *creation) record() error {
	kept := container.CreateRequest{
		Config: &container.Config{
			AttachStdin: d.asked.AttachStdin, AttachStdout: d.asked.AttachStdout, AttachStderr: d.asked.AttachStderr,
			ArgsEscaped: d.asked.ArgsEscaped, NetworkDisabled: d.asked.NetworkDisabled, OnBuild: d.asked.OnBuild, Shell: d.asked.Shell,
		},
		HostConfig: d.asked.HostConfig,
	}
	body, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("cannot record the create request: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		return fmt.Errorf("cannot record the create request: %w", err)
	}
	prune(value)
	d.out.DockerRequest, err = json.Marshal(value)
	return err
}

// prune removes members that have the value that they have when missing. For
// the paths to mask, an empty list is not the same as none.
func prune(object map[string]any) {
	for key, value := range object {
		switch value := value.(type) {
		case nil:
			delete(object, key)
		case string:
			if value == "" {
				delete(object, key)
			}
		case bool:
			if !value {
				delete(object, key)
			}
		case json.Number:
			if value == "0" {
				delete(object, key)
			}
		case map[string]any:
			if !userKeys(fold(key)) {
				prune(value)
			}
			if len(value) == 0 {
				delete(object, key)
			}
		case []any:
			if len(value) == 0 && key != "MaskedPaths" && key != "ReadonlyPaths" {
				delete(object, key)
			}
		}
	}
}
