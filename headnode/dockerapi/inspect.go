package dockerapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/storage"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

// defaultShmSize is the size of /dev/shm where none was asked for.
const defaultShmSize = 64 << 20

// inspectContainer answers from the last encoded answer while that is still
// right. What only the node knows, the newest probes and sizes, is asked for
// anew each time.
func (s *server) inspectContainer(c *call) error {
	found, err := s.Containers.Get(c.ctx(), c.account, c.vars["id"])
	if err != nil {
		return err
	}
	fresh := c.query.bool("size") || found.State.Health != nil
	where := s.places()
	key := inspectKey{account: c.account.ID, id: found.ID, version: c.version, connected: where.of(c.ctx(), &found).Connected}
	if body, ok := s.inspects.get(key, &found); ok && !fresh {
		return c.send(http.StatusOK, body)
	}
	inspected, err := inspection(c, &found, s.networkNames())
	if err != nil {
		return err
	}
	if fresh {
		if err := s.addFresh(c, &found, inspected); err != nil {
			return err
		}
	}
	body, err := json.Marshal(addPlace(inspected, where.of(c.ctx(), &found), where.lost(c.ctx(), &found)))
	if err != nil {
		return fmt.Errorf("cannot encode container %s: %w", found.ID, err)
	}
	if body, err = compat.Lower(c.route, c.version, body); err != nil {
		return err
	}
	if !fresh {
		s.inspects.put(key, &found, body)
	}
	return c.send(http.StatusOK, body)
}

// addFresh adds what only the node knows.
func (s *server) addFresh(c *call, found *model.Container, to *container.InspectResponse) error {
	if found.State.Health != nil {
		health, err := s.Usage.Health(c.ctx(), *found)
		if err != nil {
			return err
		}
		to.State.Health = healthOf(&health)
	}
	if !c.query.bool("size") {
		return nil
	}
	sizes, err := s.Usage.Sizes(c.ctx(), c.account, []string{found.ID})
	if err != nil {
		return err
	}
	if size, ok := sizes[found.ID]; ok {
		to.SizeRw, to.SizeRootFs = &size.RW, &size.Root
	}
	return nil
}

func healthOf(from *model.Health) *container.Health {
	health := &container.Health{Status: container.HealthStatus(from.Status), FailingStreak: from.FailingStreak, Log: []*container.HealthcheckResult{}}
	for _, p := range from.Log {
		health.Log = append(health.Log, &container.HealthcheckResult{Start: p.Start, End: p.End, ExitCode: p.ExitCode, Output: p.Output})
	}
	return health
}

// inspection describes a container. Paths of files of the node that it is on
// mean nothing to a client and are left empty.
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
		RestartCount: found.State.RestartCount, ExecIDs: found.Execs, Driver: storageDriver, Platform: "linux",
		Storage:    &storage.Storage{RootFS: &storage.RootFSStorage{Snapshot: &storage.RootFSStorageSnapshot{Name: storageDriver}}},
		HostConfig: hostConfig(found, asked.HostConfig), Config: config(found, asked.Config), Mounts: mountPoints(found),
		NetworkSettings: &container.NetworkSettings{
			SandboxID: found.ID, Ports: portMap(found, names.endpoints), Networks: endpoints(c.ctx(), found, names),
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
		Env: spec.Env, Cmd: spec.Cmd, Entrypoint: spec.Entrypoint, Image: spec.Image, Labels: labelsOf(c),
		Healthcheck: healthConfig(spec.Healthcheck), StopSignal: spec.StopSignal, StopTimeout: spec.StopTimeout, Volumes: ownVolumes(spec),
		ArgsEscaped: asked.ArgsEscaped, NetworkDisabled: asked.NetworkDisabled, OnBuild: asked.OnBuild, Shell: asked.Shell,
	}
}

// healthConfig is the health check that a container has, of its request and of
// its image.
func healthConfig(from *model.Healthcheck) *container.HealthConfig {
	if from == nil {
		return nil
	}
	return &container.HealthConfig{
		Test: from.Test, Interval: from.Interval, Timeout: from.Timeout, StartPeriod: from.StartPeriod,
		StartInterval: from.StartInterval, Retries: from.Retries,
	}
}

// hostConfig is what was asked for, with the limits and defaults that hold.
func hostConfig(c *model.Container, asked *container.HostConfig) *container.HostConfig {
	h := container.HostConfig{}
	if asked != nil {
		h = *asked
	}
	spec := &c.Spec
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
	h.Resources = resourcesOf(&spec.Limits, h.Resources)
	if spec.Limits.Disk > 0 {
		h.StorageOpt = map[string]string{"size": strconv.FormatInt(spec.Limits.Disk, 10)}
	}
	h.ShmSize = spec.ShmSize
	if h.ShmSize == 0 {
		h.ShmSize = defaultShmSize
	}
	h.IpcMode, h.CgroupnsMode = container.IpcMode(spec.IpcMode), container.CgroupnsMode(spec.CgroupnsMode)
	if h.IpcMode == "" {
		h.IpcMode = container.IPCModePrivate
	}
	h.Links = nil
	for _, link := range spec.Links {
		h.Links = append(h.Links, "/"+link.Name+":/"+c.Name+"/"+link.Alias)
	}
	h.MaskedPaths, h.ReadonlyPaths = protectedPaths(spec)
	fillLists(&h)
	return &h
}

// resourcesOf is the limits that hold now, an update's too, in Docker's form;
// asked has what no update changes.
func resourcesOf(l *model.Limits, asked container.Resources) container.Resources {
	r := asked
	r.Memory, r.MemorySwap, r.MemoryReservation, r.MemorySwappiness = l.Memory, l.MemorySwap, l.MemoryReservation, l.MemorySwappiness
	r.CPUShares, r.CpusetCpus, r.CpusetMems = l.CPUShares, l.CpusetCpus, l.CpusetMems
	r.CPUQuota, r.CPUPeriod, r.NanoCPUs = l.CPUQuota, l.CPUPeriod, l.NanoCPUs
	if r.NanoCPUs != 0 {
		r.CPUQuota, r.CPUPeriod = 0, 0
	}
	r.CPURealtimePeriod, r.CPURealtimeRuntime = l.CPURealtimePeriod, l.CPURealtimeRuntime
	r.BlkioWeight = l.BlkioWeight
	r.BlkioWeightDevice = nil
	for _, d := range l.BlkioWeightDevice {
		r.BlkioWeightDevice = append(r.BlkioWeightDevice, &blkiodev.WeightDevice{Path: d.Path, Weight: uint16(d.Rate)})
	}
	for _, device := range throttles(l, &r) {
		*device.asked = nil
		for _, d := range *device.limit {
			*device.asked = append(*device.asked, &blkiodev.ThrottleDevice{Path: d.Path, Rate: d.Rate})
		}
	}
	r.PidsLimit = nil
	if l.Pids > 0 {
		r.PidsLimit = &l.Pids
	}
	r.OomKillDisable = &l.OomKillDisable
	r.Ulimits = nil
	for _, u := range l.Ulimits {
		r.Ulimits = append(r.Ulimits, &container.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	return r
}

// protectedPaths are the paths that the container cannot see, and those that it
// cannot write.
func protectedPaths(spec *model.ContainerSpec) (masked, readonly []string) {
	if spec.Privileged {
		return nil, nil
	}
	masked, readonly = model.DefaultMaskedPaths(), model.DefaultReadonlyPaths()
	if spec.MaskedPaths != nil {
		masked = *spec.MaskedPaths
	}
	if spec.ReadonlyPaths != nil {
		readonly = *spec.ReadonlyPaths
	}
	return masked, readonly
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
