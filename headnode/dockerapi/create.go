package dockerapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/spearheadcloud/spearhead/model"
)

func (s *server) createContainer(c *call) error {
	r, err := c.createRequest()
	if err != nil {
		return err
	}
	if driver := r.Spec.Log.Driver; !slices.Contains(s.LogDrivers, driver) {
		return invalid("logger: no log driver named '%s' is registered: this data center has %s", driver, strings.Join(s.LogDrivers, ", "))
	}
	if err := s.checkProcessors(c, &r.Spec.Limits); err != nil {
		return err
	}
	made, warnings, err := s.Containers.Create(c.ctx(), c.account, r)
	if err != nil {
		return err
	}
	return c.answer(http.StatusCreated, container.CreateResponse{ID: made.ID, Warnings: append(warningsOf(&r.Spec), warnings...)})
}

// checkProcessors refuses more processors than any node has.
func (s *server) checkProcessors(c *call, l *model.Limits) error {
	if l.NanoCPUs == 0 {
		return nil
	}
	info, err := s.System.Info(c.ctx(), c.account)
	if err != nil {
		return err
	}
	most := 0
	for _, n := range info.Nodes {
		most = max(most, n.Info.CPUs)
	}
	if most > 0 && l.NanoCPUs > int64(most)*1_000_000_000 {
		return invalid("range of CPUs is from 0.01 to %d.00, as there are only %d CPUs available", most, most)
	}
	return nil
}

// warningsOf tells what was asked for and does not do what it seems to, in
// Docker's words.
func warningsOf(s *model.ContainerSpec) []string {
	warnings := []string{}
	if s.Network == network.NetworkHost && slices.ContainsFunc(s.Ports, func(p model.Port) bool { return p.Published }) {
		warnings = append(warnings, "Published ports are discarded when using host network mode")
	}
	for _, p := range s.Ports {
		if p.Loopback && !p.Published {
			warnings = append(warnings, fmt.Sprintf("Port %d/%s is published at a loopback address, which no other machine reaches: it is open to your own containers on the same network only", p.Number, p.Protocol))
		}
	}
	if s.Limits.OomKillDisable && s.Limits.Memory == 0 {
		warnings = append(warnings, "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.")
	}
	return warnings
}

// createRequest decodes the request once, for good: policy judges and nodes
// obey what it returns.
func (c *call) createRequest() (model.CreateContainer, error) {
	var asked container.CreateRequest
	body, err := c.decode(&asked)
	if err != nil {
		return model.CreateContainer{}, err
	}
	name := strings.TrimPrefix(c.query.Get("name"), "/")
	if name != "" {
		if err := model.CheckContainerName(name); err != nil {
			return model.CreateContainer{}, err
		}
	}
	if asked.Config == nil {
		return model.CreateContainer{}, model.Errorf(model.KindInvalid, "Config cannot be empty in order to create a container")
	}
	if asked.HostConfig == nil {
		asked.HostConfig = &container.HostConfig{}
	}
	if asked.NetworkingConfig == nil {
		asked.NetworkingConfig = &network.NetworkingConfig{}
	}
	d := creation{asked: &asked}
	d.out.Name, d.out.Operation, d.out.Platform = name, c.id, c.query.Get("platform")
	if err := d.decode(body); err != nil {
		return model.CreateContainer{}, err
	}
	return d.out, nil
}

// creation is a create request while it is decoded. Each step fills its part
// of out, returns an error for a value that can never be right, and names in
// Unsupported what is right and cannot be done here.
type creation struct {
	asked *container.CreateRequest
	out   model.CreateContainer
}

func (d *creation) decode(body []byte) error {
	steps := []func() error{
		d.command, d.identity, d.environment, d.ports, d.lifecycle, d.logging,
		d.network, d.nameService, d.mounts, d.devices,
		d.limits, d.ulimits,
		d.capabilities, d.security, d.namespaces, d.sysctls, d.elsewhere,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	if err := d.unknownFields(body); err != nil {
		return err
	}
	slices.Sort(d.out.Unsupported)
	d.out.Unsupported = slices.Compact(d.out.Unsupported)
	return d.record()
}

// refuse names a field if its value is one that cannot be honoured.
func (d *creation) refuse(unsupported bool, field string) {
	if unsupported {
		d.out.Unsupported = append(d.out.Unsupported, field)
	}
}

func invalid(format string, args ...any) error {
	return model.Errorf(model.KindInvalid, format, args...)
}

// command decides what runs. As with Docker, an entrypoint of the request
// replaces the image's command too, and [""] empties both.
func (d *creation) command() error {
	c, spec := d.asked.Config, &d.out.Spec
	if c.Image == "" {
		return invalid("invalid value for Image: no image was named")
	}
	spec.Image, spec.User, spec.WorkingDir = c.Image, c.User, c.WorkingDir
	if len(c.Cmd) > 0 {
		spec.Cmd = c.Cmd
	}
	spec.Entrypoint = c.Entrypoint
	if len(c.Entrypoint) > 0 && len(c.Cmd) == 0 {
		spec.Cmd = []string{}
	}
	if len(c.Entrypoint) == 1 && c.Entrypoint[0] == "" {
		spec.Entrypoint = []string{}
	}
	for _, arg := range slices.Concat(c.Cmd, c.Entrypoint, []string{c.User, c.WorkingDir}) {
		if strings.ContainsRune(arg, 0) {
			return invalid("invalid command: an argument holds a zero byte")
		}
	}
	if c.WorkingDir != "" && !path.IsAbs(c.WorkingDir) {
		return invalid("the working directory '%.128s' is invalid, it needs to be an absolute path", c.WorkingDir)
	}
	spec.Tty, spec.OpenStdin, spec.StdinOnce = c.Tty, c.OpenStdin, c.StdinOnce
	size, err := consoleSize("HostConfig.ConsoleSize", &d.asked.HostConfig.ConsoleSize, c.Tty)
	if err != nil {
		return err
	}
	spec.ConsoleSize = size
	return nil
}

// lifecycle decides how the container ends and starts again.
func (d *creation) lifecycle() error {
	c, h, spec := d.asked.Config, d.asked.HostConfig, &d.out.Spec
	if err := checkSignal(c.StopSignal); err != nil {
		return err
	}
	spec.StopSignal, spec.StopTimeout = c.StopSignal, c.StopTimeout
	if err := container.ValidateRestartPolicy(h.RestartPolicy); err != nil {
		return invalid("%s", err)
	}
	spec.Restart = model.RestartPolicy{Name: string(h.RestartPolicy.Name), MaxRetries: h.RestartPolicy.MaximumRetryCount}
	spec.AutoRemove = h.AutoRemove
	if h.AutoRemove && !h.RestartPolicy.IsNone() {
		return invalid("can't create 'AutoRemove' container with restart policy")
	}
	spec.Init = h.Init != nil && *h.Init
	health, err := healthcheckOf(c.Healthcheck)
	if err != nil {
		return err
	}
	if len(c.Shell) > 0 { // which is only for health checks, of the image too
		if health == nil {
			health = &model.Healthcheck{}
		}
		health.Shell = c.Shell
	}
	spec.Healthcheck = health
	return nil
}

// elsewhere decides what comes from other containers and what the node's
// runtime is told, and names what other engines have and this one has not.
func (d *creation) elsewhere() error {
	h, asked, spec := d.asked.HostConfig, &d.out.Asked, &d.out.Spec
	if strings.Contains("/"+h.CgroupParent+"/", "/../") || strings.ContainsAny(h.CgroupParent, "\x00\n") {
		return invalid("invalid value for HostConfig.CgroupParent: %.128q is no path below the hierarchy", h.CgroupParent)
	}
	if asked.CgroupParent = h.CgroupParent; h.CgroupParent != "" {
		spec.CgroupParent = path.Join("/", h.CgroupParent)
	}
	asked.VolumesFrom = noneIfEmpty(h.VolumesFrom)
	if _, empty := h.Annotations[""]; empty {
		return invalid("invalid Annotations: the empty string is not permitted as an annotation key")
	}
	if len(h.Annotations) > 0 {
		spec.Annotations = h.Annotations
	}
	if h.Umask != nil && *h.Umask > 0o777 {
		return invalid("invalid value for HostConfig.Umask: %d is more than 511 (0777)", *h.Umask)
	}
	spec.Umask = h.Umask
	if !h.Isolation.IsDefault() {
		asked.Isolation = string(h.Isolation)
		d.refuse(true, "HostConfig.Isolation")
	}
	asked.Runtime = h.Runtime
	d.refuse(h.Runtime != "", "HostConfig.Runtime (the operator chooses it)")
	if !slices.Contains(volumeDrivers, h.VolumeDriver) {
		asked.VolumeDriver = h.VolumeDriver
		d.refuse(true, "HostConfig.VolumeDriver")
	}
	d.refuse(h.Cgroup != "", "HostConfig.Cgroup")
	return nil
}

// unknownFields names each field with a value that is none of the API's, and
// those that the newest version does not have any more.
func (d *creation) unknownFields(body []byte) error {
	top := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &top); err != nil {
		return invalid("invalid JSON in the request body")
	}
	known := fieldsOf(reflect.TypeFor[container.CreateRequest]())
	for key, value := range top {
		if !known[fold(key)] && !emptyJSON(value) && !d.besides(fold(key), value) {
			d.refuse(true, clipKey(key))
		}
		if fold(key) != "hostconfig" {
			continue
		}
		host := map[string]json.RawMessage{}
		if err := json.Unmarshal(value, &host); err != nil {
			return invalid("invalid value for HostConfig")
		}
		if err := d.unknownInHost(host); err != nil {
			return err
		}
	}
	return nil
}

// besides reports whether a field that is none of the API's is one that clients
// send along for no purpose, and that Docker does not look at: dockerode and
// docker-java put the parameters of the request into its body too, and
// docker-java the user's credentials. One that contradicts its parameter is not.
func (d *creation) besides(key string, value json.RawMessage) bool {
	var parameter, text string
	switch key {
	case "authconfig":
		return true
	case "name":
		parameter = d.out.Name
	case "platform":
		parameter = d.out.Platform
	default:
		return false
	}
	if json.Unmarshal(value, &text) != nil {
		return false
	}
	return parameter == "" || parameter == strings.TrimPrefix(text, "/")
}

func (d *creation) unknownInHost(host map[string]json.RawMessage) error {
	known := fieldsOf(reflect.TypeFor[container.HostConfig]())
	for key, value := range host {
		if known[fold(key)] || emptyJSON(value) {
			continue
		}
		if fold(key) == "kernelmemory" {
			if err := json.Unmarshal(value, &d.out.Asked.KernelMemory); err != nil {
				return invalid("invalid value for HostConfig.KernelMemory: it is not a number of bytes")
			}
		}
		d.refuse(true, "HostConfig."+clipKey(key))
	}
	return nil
}

func clipKey(key string) string { return fmt.Sprintf("%.64s", key) }

// fieldsOf lists the JSON keys of a struct, folded.
func fieldsOf(t reflect.Type) map[string]bool {
	keys := map[string]bool{}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" && field.Anonymous {
			continue // its own fields stand in its place
		}
		if name == "" {
			name = field.Name
		}
		keys[fold(name)] = true
	}
	return keys
}

// emptyJSON reports whether a value says nothing.
func emptyJSON(value json.RawMessage) bool {
	switch strings.TrimSpace(string(value)) {
	case "null", `""`, "0", "-1", "false", "[]", "{}":
		return true
	}
	return false
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
