package dockerapi

import (
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/internal/logopt"
	"github.com/spearheadcloud/spearhead/model"
)

// storageDriver is what clients see in the place of a driver: nodes differ, and
// which storage one has is told by info.
const storageDriver = "spearhead"

func (s *server) ping(c *call) error {
	h := c.w.Header()
	h.Set("Builder-Version", "2")
	h.Set("Swarm", "inactive")
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if c.r.Method == http.MethodHead {
		h.Set("Content-Length", "0")
		return c.done(http.StatusOK)
	}
	h.Set("Content-Length", "2")
	c.w.Write([]byte("OK"))
	return nil
}

func (s *server) certificate(c *call) error {
	ca := s.System.CA()
	c.w.Header().Set("Content-Type", "application/x-pem-file")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(ca)))
	c.w.Write(ca)
	return nil
}

func (s *server) serverVersion(c *call) error {
	info, err := s.System.Info(c.ctx(), c.account)
	if err != nil {
		return err
	}
	commit, built := s.program.setting("vcs.revision"), s.program.setting("vcs.time")
	kernel := agreed(info.Nodes, func(n model.NodeInfo) string { return n.Kernel })
	return c.answer(http.StatusOK, system.VersionResponse{
		Platform: system.PlatformInfo{Name: "Spearhead"},
		Version:  s.Version, APIVersion: compat.Newest.String(), MinAPIVersion: compat.Oldest.String(),
		Os: "linux", Arch: architecture(info.Nodes), GoVersion: runtime.Version(), KernelVersion: kernel,
		GitCommit: commit, BuildTime: built,
		Components: []system.ComponentVersion{{
			Name: "Engine", Version: s.Version,
			Details: map[string]string{
				"ApiVersion": compat.Newest.String(), "MinAPIVersion": compat.Oldest.String(),
				"Arch": architecture(info.Nodes), "Os": "linux", "GoVersion": runtime.Version(),
				"KernelVersion": kernel, "Experimental": "false", "GitCommit": commit, "BuildTime": built,
			},
		}},
	})
}

// program is how this program was built.
type program struct{ settings []debug.BuildSetting }

func thisProgram() program {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return program{}
	}
	return program{info.Settings}
}

// setting is "" where the builder did not know it.
func (p program) setting(key string) string {
	for _, s := range p.settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

func (s *server) info(c *call) error {
	from, err := s.System.Info(c.ctx(), c.account)
	if err != nil {
		return err
	}
	i := system.Info{
		ID: from.ID, Name: from.Name, ServerVersion: s.Version, Images: from.Images,
		Driver: storageDriver, DriverStatus: driverStatus(c.account, &from), SystemStatus: systemStatus(from.Places),
		Plugins:     system.PluginsInfo{Volume: []string{}, Network: []string{"bridge", "host", "null"}, Log: s.LogDrivers},
		MemoryLimit: true, SwapLimit: true, CPUCfsPeriod: true, CPUCfsQuota: true, CPUShares: true, CPUSet: true,
		PidsLimit: true, IPv4Forwarding: true, OomKillDisable: true,
		SystemTime: s.now().UTC().Format(time.RFC3339Nano), LoggingDriver: logopt.JSONFile, CgroupDriver: "cgroupfs",
		OSType: "linux", Architecture: machine(architecture(from.Nodes)),
		IndexServerAddress: "https://index.docker.io/v1/", RegistryConfig: registries(),
		Labels: []string{}, LiveRestoreEnabled: true, Warnings: from.Warnings,
		Swarm:           swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive},
		SecurityOptions: []string{}, CDISpecDirs: []string{},
	}
	countContainers(&i, from.Containers)
	describeNodes(&i, from.Nodes)
	if i.Warnings == nil {
		i.Warnings = []string{}
	}
	return c.answer(http.StatusOK, i)
}

// driverStatus has the row SDCAccount, by which users of Triton see that they
// are known.
func driverStatus(a model.Account, from *SystemInfo) [][2]string {
	leader := "elected"
	if from.Leader == "" {
		leader = "none: the data center can be read and not changed"
	}
	rows := [][2]string{
		{"SDCAccount", a.Login},
		{"Heads", strconv.Itoa(from.Heads)},
		{"Leader", leader},
		{"Nodes", strconv.Itoa(len(from.Nodes))},
	}
	kinds := map[string]int{}
	for _, n := range from.Nodes {
		kinds[n.Info.Storage]++
	}
	for _, kind := range []string{"overlay", "zfs"} {
		if kinds[kind] > 0 {
			rows = append(rows, [2]string{"Nodes with " + kind, strconv.Itoa(kinds[kind])})
		}
	}
	return rows
}

func countContainers(i *system.Info, by map[model.Status]int) {
	for status, n := range by {
		i.Containers += n
		switch status {
		case model.StatusRunning, model.StatusRestarting:
			i.ContainersRunning += n
		case model.StatusPaused:
			i.ContainersPaused += n
		default:
			i.ContainersStopped += n
		}
	}
}

// describeNodes sums up the nodes, and tells what they have in common.
func describeNodes(i *system.Info, nodes []model.Node) {
	seccomp := len(nodes) > 0
	for _, n := range nodes {
		i.NCPU += n.Info.CPUs
		i.MemTotal += n.Info.Capacity.Memory
		seccomp = seccomp && n.Info.Seccomp
	}
	i.KernelVersion = agreed(nodes, func(n model.NodeInfo) string { return n.Kernel })
	i.OperatingSystem = agreed(nodes, func(n model.NodeInfo) string { return n.OperatingSystem })
	i.CgroupVersion = agreed(nodes, func(n model.NodeInfo) string {
		if n.CgroupVersion == 0 {
			return ""
		}
		return strconv.Itoa(n.CgroupVersion)
	})
	if seccomp {
		i.SecurityOptions = []string{"name=seccomp,profile=builtin"}
	}
	i.DefaultRuntime, _, _ = strings.Cut(agreed(nodes, func(n model.NodeInfo) string { return n.Runtime }), " ")
	i.InitBinary, i.InitCommit.ID, _ = strings.Cut(agreed(nodes, func(n model.NodeInfo) string { return n.Init }), " ")
	if i.DefaultRuntime != "" {
		i.Runtimes = map[string]system.RuntimeWithStatus{i.DefaultRuntime: {}}
	}
}

// agreed is what the nodes agree on, and "various" if they do not.
func agreed(nodes []model.Node, of func(model.NodeInfo) string) string {
	if len(nodes) == 0 {
		return ""
	}
	first := of(nodes[0].Info)
	if slices.ContainsFunc(nodes, func(n model.Node) bool { return of(n.Info) != first }) {
		return "various"
	}
	return first
}

// architecture is that of the nodes in Go's words, or this head's without nodes.
func architecture(nodes []model.Node) string {
	if arch := agreed(nodes, func(n model.NodeInfo) string { return n.Architecture }); arch != "" {
		return arch
	}
	return runtime.GOARCH
}

// machine is an architecture in the words of uname(1).
func machine(arch string) string {
	switch arch {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return arch
}

func registries() *registry.ServiceConfig {
	return &registry.ServiceConfig{
		InsecureRegistryCIDRs: []netip.Prefix{},
		IndexConfigs: map[string]*registry.IndexInfo{
			"docker.io": {Name: "docker.io", Mirrors: []string{}, Secure: true, Official: true},
		},
		Mirrors: []string{},
	}
}

// notImplemented makes a handler that says what is missing.
func notImplemented(what string) func(*server, *call) error {
	return func(*server, *call) error {
		return model.Errorf(model.KindNotImplemented, "%s not implemented by this server", what)
	}
}

// noneOf answers a question about one object of a noun that this server has
// none of.
func noneOf(noun, variable string) func(*server, *call) error {
	return func(_ *server, c *call) error {
		return model.Errorf(model.KindNotFound, "%s %.128s not found", noun, c.vars[variable])
	}
}

// emptyList answers a list of a noun that this server has none of.
func emptyList(_ *server, c *call) error { return c.answer(http.StatusOK, []any{}) }

// noSwarm answers the routes of swarm mode as an engine outside of a swarm does.
func noSwarm(*server, *call) error {
	return model.Errorf(model.KindUnavailable, "%s", `This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`)
}

func noSwarmToLeave(*server, *call) error {
	return model.Errorf(model.KindUnavailable, "This node is not part of a swarm")
}
