package dockerapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/storage"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

// defaultShmSize is the size of /dev/shm where none was asked for.
const defaultShmSize = 64 << 20

func (s *server) inspectContainer(c *call) error {
	found, err := s.Containers.Get(c.ctx(), c.account, c.vars["id"])
	if err != nil {
		return err
	}
	key := inspectKey{account: c.account.ID, id: found.ID, version: c.version}
	if body, ok := s.inspects.get(key, &found); ok {
		return c.send(http.StatusOK, body)
	}
	inspected, err := inspection(c, &found, s.networkNames())
	if err != nil {
		return err
	}
	body, err := json.Marshal(inspected)
	if err != nil {
		return fmt.Errorf("cannot encode container %s: %w", found.ID, err)
	}
	if body, err = compat.Lower(c.route, c.version, body); err != nil {
		return err
	}
	s.inspects.put(key, &found, body)
	return c.send(http.StatusOK, body)
}

// inspection describes a container. Paths of files and pids of the node that
// it is on mean nothing to a client and are left empty, but for the pid.
func inspection(c *call, found *model.Container, names *networkNames) (*container.InspectResponse, error) {
	asked := container.CreateRequest{}
	if len(found.DockerRequest) > 0 {
		if err := json.Unmarshal(found.DockerRequest, &asked); err != nil {
			return nil, fmt.Errorf("cannot read the recorded request of container %s: %w", found.ID, err)
		}
	}
	path, args := splitCommand(found.Spec.Args())
	return &container.InspectResponse{
		ID: found.ID, Created: timeText(found.Created), Path: path, Args: args,
		State: stateOf(found), Image: found.Spec.ImageID, Name: "/" + found.Name,
		RestartCount: found.State.RestartCount, Driver: storageDriver, Platform: "linux",
		GraphDriver: &storage.DriverData{Name: storageDriver, Data: map[string]string{}},
		HostConfig:  hostConfig(found, asked.HostConfig), Config: config(found, asked.Config), Mounts: mountPoints(found),
		NetworkSettings: &container.NetworkSettings{
			SandboxID: found.ID, Ports: portMap(found), Networks: endpoints(c.ctx(), found, names),
		},
	}, nil
}

func stateOf(c *model.Container) *container.State {
	status := currentStatus(c)
	return &container.State{
		Status:  container.ContainerState(status),
		Running: status.Running() || status == model.StatusRestarting, Paused: status == model.StatusPaused,
		Restarting: status == model.StatusRestarting, Dead: status == model.StatusDead,
		OOMKilled: c.State.OOMKilled, Pid: c.State.Pid, ExitCode: c.State.ExitCode, Error: c.State.Error,
		StartedAt: timeText(c.State.StartedAt), FinishedAt: timeText(c.State.FinishedAt),
	}
}

// config is the container's configuration as decided at create, with the few
// fields that only matter to clients as they were asked for.
func config(c *model.Container, asked *container.Config) *container.Config {
	if asked == nil {
		asked = &container.Config{}
	}
	spec := &c.Spec
	ports := network.PortSet{}
	for _, p := range spec.Ports {
		ports[portOf(p)] = struct{}{}
	}
	return &container.Config{
		Hostname: spec.Hostname, Domainname: spec.Domainname, User: spec.User, WorkingDir: spec.WorkingDir,
		AttachStdin: asked.AttachStdin, AttachStdout: asked.AttachStdout, AttachStderr: asked.AttachStderr,
		Tty: spec.Tty, OpenStdin: spec.OpenStdin, StdinOnce: spec.StdinOnce, ExposedPorts: ports,
		Env: spec.Env, Cmd: spec.Cmd, Entrypoint: spec.Entrypoint, Image: spec.Image, Labels: spec.Labels,
		Healthcheck: asked.Healthcheck, StopSignal: spec.StopSignal, StopTimeout: spec.StopTimeout,
	}
}

// hostConfig is what was asked for, with the limits and defaults that hold.
func hostConfig(c *model.Container, asked *container.HostConfig) *container.HostConfig {
	h := container.HostConfig{}
	if asked != nil {
		h = *asked
	}
	spec, limits := &c.Spec, &c.Spec.Limits
	h.NetworkMode = container.NetworkMode(networkMode(c))
	h.AutoRemove = spec.AutoRemove
	h.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyMode(spec.Restart.Name), MaximumRetryCount: spec.Restart.MaxRetries}
	if h.RestartPolicy.Name == "" {
		h.RestartPolicy.Name = container.RestartPolicyDisabled
	}
	h.LogConfig = container.LogConfig{Type: spec.Log.Driver, Config: spec.Log.Options}
	if h.LogConfig.Config == nil {
		h.LogConfig.Config = map[string]string{}
	}
	h.Memory, h.MemorySwap, h.MemoryReservation = limits.Memory, limits.MemorySwap, limits.MemoryReservation
	h.CPUShares, h.CpusetCpus, h.CpusetMems = limits.CPUShares, limits.CpusetCpus, limits.CpusetMems
	h.CPUQuota, h.CPUPeriod = limits.CPUQuota, limits.CPUPeriod
	if h.NanoCPUs != 0 {
		h.CPUQuota, h.CPUPeriod = 0, 0
	}
	h.BlkioWeight = limits.BlkioWeight
	if limits.Pids > 0 {
		h.PidsLimit = &limits.Pids
	}
	if limits.Disk > 0 {
		h.StorageOpt = map[string]string{"size": strconv.FormatInt(limits.Disk, 10)}
	}
	h.OomKillDisable = &limits.OomKillDisable
	h.ShmSize = spec.ShmSize
	if h.ShmSize == 0 {
		h.ShmSize = defaultShmSize
	}
	h.IpcMode, h.CgroupnsMode = container.IpcMode(spec.IpcMode), container.CgroupnsMode(spec.CgroupnsMode)
	if h.IpcMode == "" {
		h.IpcMode = container.IPCModePrivate
	}
	fillLists(&h)
	return &h
}

// fillLists makes lists and objects that clients go through without asking.
func fillLists(h *container.HostConfig) {
	if h.PortBindings == nil {
		h.PortBindings = network.PortMap{}
	}
	if h.Devices == nil {
		h.Devices = []container.DeviceMapping{}
	}
	if h.DNS == nil {
		h.DNS = []netip.Addr{}
	}
	if h.DNSOptions == nil {
		h.DNSOptions = []string{}
	}
	if h.DNSSearch == nil {
		h.DNSSearch = []string{}
	}
}
