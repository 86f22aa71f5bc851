package dockerapi

import (
	"encoding/json"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
)

// create posts a create request and returns what it was decoded into.
func create(t *testing.T, version, body string) (model.CreateContainer, int, string) {
	t.Helper()
	f := newFake()
	status, answer := request(t, f.serve(t), "POST", version+"/containers/create", body)
	if len(f.created) == 0 {
		return model.CreateContainer{}, status, answer
	}
	return f.created[0], status, answer
}

// TestRecordedCreatesPass posts what real clients send for a plain run.
func TestRecordedCreatesPass(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/create/*.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("%v: only %d recorded requests", err, len(files))
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		version := "/v" + regexp.MustCompile(`api-([0-9.]+[0-9])`).FindStringSubmatch(file)[1]
		got, status, answer := create(t, version, string(body))
		if status != 201 {
			t.Errorf("%s: %d %s", file, status, answer)
		}
		if want := []string{"true"}; !cmp.Equal(got.Spec.Cmd, want) || got.Spec.Entrypoint != nil {
			t.Errorf("%s: command %v %v", file, got.Spec.Entrypoint, got.Spec.Cmd)
		}
		if got.Spec.Network != "" {
			t.Errorf("%s: network %q, want the default one", file, got.Spec.Network)
		}
	}
}

func TestCreateDecodesTheSpecification(t *testing.T) {
	t.Parallel()
	got, status, answer := create(t, "", `{"Image":"busybox","Cmd":["-c","true"],"Entrypoint":["sh"],"Env":["A=b"],"Tty":true,
		"ExposedPorts":{"443/tcp":{},"53/udp":{}},"Labels":{"x":"y","X":"z"},"StopTimeout":3,"StopSignal":"SIGINT",
		"HostConfig":{"Memory":16777216,"MemorySwap":-1,"NanoCpus":1500000000,"PidsLimit":50,"Binds":["/tmp/a:/a:ro,rshared"],
		"Mounts":[{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":1024,"Mode":448}},{"Type":"bind","Source":"/s","Target":"/b"}],
		"Tmpfs":{"/run":"size=1m"},"CapAdd":["net_admin","CAP_CHOWN"],"CapDrop":["all"],"SecurityOpt":["no-new-privileges","seccomp=unconfined"],
		"PortBindings":{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"80"}],"443/tcp":[{}]},"NetworkMode":"none","RestartPolicy":{"Name":"on-failure","MaximumRetryCount":2},
		"Dns":["1.1.1.1"],"ExtraHosts":["db:10.0.0.1"],"Ulimits":[{"Name":"nofile","Soft":10,"Hard":20}],"IpcMode":"private",
		"StorageOpt":{"size":"10G"},"LogConfig":{"Type":"json-file","Config":{"max-size":"1m"}},"Devices":[{"PathOnHost":"/dev/null"}],
		"Sysctls":{"net.ipv4.ip_forward":"0"},"MaskedPaths":[],"GroupAdd":["9"]}}`)
	if status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	three := 3
	want := model.ContainerSpec{
		Image: "busybox", Cmd: []string{"-c", "true"}, Entrypoint: []string{"sh"}, Env: []string{"A=b"}, Tty: true,
		Labels: map[string]string{"x": "y", "X": "z"}, StopTimeout: &three, StopSignal: "SIGINT", Network: "none",
		Ports: []model.Port{
			{Number: 53, Protocol: "udp"}, {Number: 80, Protocol: "tcp", Published: true, Endpoint: []model.EndpointPort{{First: 80, Last: 80}}},
			{Number: 443, Protocol: "tcp", Published: true, Endpoint: []model.EndpointPort{{}}},
		},
		Limits: model.Limits{
			Memory: 16 << 20, MemorySwap: -1, CPUPeriod: 100_000, CPUQuota: 150_000, NanoCPUs: 1_500_000_000, Pids: 50, Disk: 10 << 30,
			Ulimits: []model.Ulimit{{Name: "nofile", Soft: 10, Hard: 20}},
		},
		Restart: model.RestartPolicy{Name: "on-failure", MaxRetries: 2}, Log: model.LogConfig{Driver: "json-file", Options: map[string]string{"max-size": "1m"}},
		DNS: []string{"1.1.1.1"}, ExtraHosts: []string{"db:10.0.0.1"},
		Mounts: []model.Mount{
			{Type: "bind", Source: "/tmp/a", Target: "/a", ReadOnly: true, Propagation: "rshared", CreateSource: true},
			{Type: "tmpfs", Target: "/t", TmpfsSize: 1024, TmpfsMode: 0o700}, {Type: "bind", Source: "/s", Target: "/b"},
		},
		Tmpfs: map[string]string{"/run": "size=1m"}, CapAdd: []string{"CAP_CHOWN", "CAP_NET_ADMIN"}, CapDrop: []string{"ALL"},
		NoNewPrivileges: true, Seccomp: "unconfined", Sysctls: map[string]string{"net.ipv4.ip_forward": "0"},
		Devices:     []model.Device{{PathOnHost: "/dev/null", PathInContainer: "/dev/null", Permissions: "rwm"}},
		MaskedPaths: &[]string{}, GroupAdd: []string{"9"},
	}
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Error(diff)
	}
	if got.Operation == "" || !cmp.Equal(got.Asked.SecurityOpt, []string{"no-new-privileges", "seccomp=unconfined"}) {
		t.Errorf("operation %q, asked %+v", got.Operation, got.Asked)
	}
}

// A loopback address is the client's own machine: nobody else is to come in.
func TestPortsAtLoopbackAddressesStayClosed(t *testing.T) {
	t.Parallel()
	got, status, answer := create(t, "", `{"Image":"busybox","ExposedPorts":{"5432/tcp":{}},"HostConfig":{"PortBindings":{
		"5432/tcp":[{"HostIp":"127.0.0.1","HostPort":"5432"}],"53/udp":[{"HostIp":"::1"}],"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"},{"HostPort":"81"}]}}}`)
	if status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	want := []model.Port{
		{Number: 53, Protocol: "udp", Loopback: true},
		{Number: 80, Protocol: "tcp", Published: true, Loopback: true, Outside: []uint16{81}, Endpoint: []model.EndpointPort{{First: 81, Last: 81}}},
		{Number: 5432, Protocol: "tcp", Loopback: true},
	}
	if diff := cmp.Diff(want, got.Spec.Ports); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(answer, "Port 5432/tcp is published at a loopback address") || strings.Contains(answer, "Port 80/tcp") {
		t.Errorf("it warns otherwise: %s", answer)
	}
}

// On a network of the user's, links are names for one container alone.
func TestLinksOnANetworkAreNames(t *testing.T) {
	t.Parallel()
	got, status, answer := create(t, "", `{"Image":"busybox","HostConfig":{"NetworkMode":"lan"},"NetworkingConfig":{"EndpointsConfig":{"lan":{"Links":["project_db_1:db","cache"]}}}}`)
	if status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	want := []model.Endpoint{{Network: "lan", Links: []string{"project_db_1:db", "cache:cache"}}}
	if diff := cmp.Diff(want, got.Endpoints, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", ":db", "db:", "a:b:c"} {
		_, status, answer := create(t, "", `{"Image":"busybox","NetworkingConfig":{"EndpointsConfig":{"lan":{"Links":["`+bad+`"]}}}}`)
		if status != 400 || !strings.Contains(answer, "bad format for links") {
			t.Errorf("%q: %d %s", bad, status, answer)
		}
	}
}

func TestCreateDecodesWhatFewAskFor(t *testing.T) {
	t.Parallel()
	got, status, answer := create(t, "", `{"Image":"busybox","NetworkDisabled":true,"Shell":["/bin/ash","-c"],"OnBuild":["RUN x"],"ArgsEscaped":true,
		"Healthcheck":{"Test":["CMD-SHELL","wget -q localhost"],"Interval":1000000000,"Timeout":2000000,"StartPeriod":3000000,"StartInterval":4000000,"Retries":5},
		"HostConfig":{"Init":true,"Links":["db:database"],"VolumesFrom":["data:ro"],"Annotations":{"a":"b"},"Umask":63,"UsernsMode":"host",
		"CgroupParent":"below/this","DeviceCgroupRules":["c 1:* rw"],"MemorySwappiness":0,"CpuRealtimePeriod":1000,"CpuRealtimeRuntime":500,
		"BlkioWeightDevice":[{"Path":"/dev/sda","Weight":300}],"BlkioDeviceReadBps":[{"Path":"/dev/sda","Rate":1}],
		"BlkioDeviceWriteBps":[{"Path":"/dev/sda","Rate":2}],"BlkioDeviceReadIOps":[{"Path":"/dev/sda","Rate":3}],
		"BlkioDeviceWriteIOps":[{"Path":"/dev/sda","Rate":4}],"ExtraHosts":["out:host-gateway"],"OomScoreAdj":-5,
		"LogConfig":{"Type":"gelf","Config":{"gelf-address":"udp://logs:12201"}},"PortBindings":{"8005/tcp":[{"HostPort":"8000-8010"}]}}}`)
	if status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	zero, umask := int64(0), uint32(0o77)
	rate := func(r uint64) []model.BlkioLimit { return []model.BlkioLimit{{Path: "/dev/sda", Rate: r}} }
	want := model.ContainerSpec{
		Image: "busybox", Network: "none", Init: true, Umask: &umask, UsernsMode: "host", CgroupParent: "/below/this",
		Annotations: map[string]string{"a": "b"}, DeviceCgroupRules: []string{"c 1:* rw"}, OomScoreAdj: -5, ExtraHosts: []string{"out:host-gateway"},
		Healthcheck: &model.Healthcheck{
			Test: []string{"CMD-SHELL", "wget -q localhost"}, Shell: []string{"/bin/ash", "-c"}, Interval: time.Second, Timeout: 2 * time.Millisecond,
			StartPeriod: 3 * time.Millisecond, StartInterval: 4 * time.Millisecond, Retries: 5,
		},
		Limits: model.Limits{
			MemorySwappiness: &zero, CPURealtimePeriod: 1000, CPURealtimeRuntime: 500, BlkioWeightDevice: rate(300), BlkioReadBps: rate(1),
			BlkioWriteBps: rate(2), BlkioReadIOps: rate(3), BlkioWriteIOps: rate(4),
		},
		Log:   model.LogConfig{Driver: "gelf", Options: map[string]string{"gelf-address": "udp://logs:12201"}},
		Ports: []model.Port{{Number: 8005, Protocol: "tcp", Published: true, Endpoint: []model.EndpointPort{{First: 8000, Last: 8010}}}},
	}
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Error(diff)
	}
	asked := model.Asked{
		CgroupParent: "below/this", UsernsMode: "host", DeviceCgroupRules: []string{"c 1:* rw"}, VolumesFrom: []string{"data:ro"}, Links: []string{"db:database"},
	}
	if diff := cmp.Diff(asked, got.Asked); diff != "" {
		t.Error(diff)
	}
}

func TestEntrypointsResetTheImages(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][2][]string{
		`{"Image":"busybox"}`:                                  {nil, nil},
		`{"Image":"busybox","Cmd":[],"Entrypoint":null}`:       {nil, nil},
		`{"Image":"busybox","Entrypoint":["sh"]}`:              {{"sh"}, {}},
		`{"Image":"busybox","Entrypoint":[""],"Cmd":["true"]}`: {{}, {"true"}},
		`{"Image":"busybox","Entrypoint":[""]}`:                {{}, {}},
		`{"Image":"busybox","Entrypoint":["sh"],"Cmd":["-c"]}`: {{"sh"}, {"-c"}},
	} {
		got, status, answer := create(t, "", body)
		if status != 201 {
			t.Fatalf("%s: %d %s", body, status, answer)
		}
		if diff := cmp.Diff(want, [2][]string{got.Spec.Entrypoint, got.Spec.Cmd}); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	if got, _, _ := create(t, "/v1.44", `{"Image":"busybox","Cmd":"true"}`); !cmp.Equal(got.Spec.Cmd, []string{"true"}) {
		t.Errorf("a command of an older client that is a string: %v", got.Spec.Cmd)
	}
}

// TestWhatCannotBeDoneIsNamed holds that no field with a value is ignored.
func TestWhatCannotBeDoneIsNamed(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		`"MacAddress":"02:42:ac:11:00:02"`:                                      `MacAddress`,
		`"Env":["constraint:storage==ssd"]`:                                     `Env["constraint:storage"]`,
		`"Labels":{"com.docker.swarm.constraints":"[]"}`:                        `Labels["com.docker.swarm.constraints"]`,
		`"Labels":{"spearhead.brand":"zone"}`:                                   `Labels["spearhead.brand"]`,
		`"Later":1`:                                                             `Later`,
		`"HostConfig":{"Later":"x"}`:                                            `HostConfig.Later`,
		`"HostConfig":{"VolumeDriver":"nfs"}`:                                   `HostConfig.VolumeDriver`,
		`"HostConfig":{"Mounts":[{"Type":"image","Source":"v","Target":"/d"}]}`: `HostConfig.Mounts["/d"] (type image)`,
		`"HostConfig":{"StorageOpt":{"x":"1"}}`:                                 `HostConfig.StorageOpt["x"]`,
		`"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"10.0.0.1"}]}}`:      `HostConfig.PortBindings["80/tcp"].HostIp`,
		`"NetworkingConfig":{"EndpointsConfig":{"n":{"IPAMConfig":{"LinkLocalIPs":["169.254.1.1"]}}}}`: `NetworkingConfig.EndpointsConfig["n"].IPAMConfig.LinkLocalIPs`,
		`"NetworkingConfig":{"EndpointsConfig":{"n":{"DriverOpts":{"a":"b"}}}}`:                        `NetworkingConfig.EndpointsConfig["n"].DriverOpts`,
		`"HostConfig":{"Runtime":"runc"}`:                                                              `HostConfig.Runtime (the operator chooses it)`,
		`"HostConfig":{"Isolation":"hyperv"}`:                                                          `HostConfig.Isolation`,
		`"HostConfig":{"KernelMemory":4194304}`:                                                        `HostConfig.KernelMemory`,
		`"HostConfig":{"DeviceRequests":[{"Driver":"nvidia"}]}`:                                        `HostConfig.DeviceRequests`,
	} {
		got, status, answer := create(t, "", `{"Image":"busybox",`+fields+`}`)
		if status != 501 {
			t.Errorf("%s: %d %s", fields, status, answer)
		}
		if len(got.Unsupported) == 0 || got.Unsupported[0] != want {
			t.Errorf("%s is named %q, want %q", fields, got.Unsupported, want)
		}
	}
}

// TestParametersInTheBody holds that what dockerode and docker-java send beside
// the fields is no trouble, unless it says something else than the query.
func TestParametersInTheBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query, fields, refused string
	}{
		{"?name=db&platform=linux", `"name":"/db","platform":"linux"`, ""},
		{"?name=/db", `"Name":"db","authConfig":{"username":"u","password":"p"},"abortSignal":{}`, ""},
		{"", `"name":"db","platform":"linux"`, ""},
		{"?name=db", `"name":"web"`, "name"},
		{"?platform=linux", `"platform":"linux/arm64"`, "platform"},
		{"?name=db", `"name":5`, "name"},
	} {
		f := newFake()
		status, answer := request(t, f.serve(t), "POST", "/containers/create"+c.query, `{"Image":"busybox",`+c.fields+`}`)
		if len(f.created) != 1 {
			t.Fatalf("%s %s: %d %s", c.query, c.fields, status, answer)
		}
		got := f.created[0]
		if strings.Join(got.Unsupported, " ") != c.refused {
			t.Errorf("%s %s: refused for %q", c.query, c.fields, got.Unsupported)
		}
		if named := strings.Contains(c.query, "db"); named != (got.Name == "db") || strings.Contains(string(got.DockerRequest), "username") {
			t.Errorf("%s %s: named %q, recorded %s", c.query, c.fields, got.Name, got.DockerRequest)
		}
	}
}

// inHost is a create request with those fields in its HostConfig.
func inHost(fields string) string { return `{"Image":"busybox","HostConfig":{` + fields + `}}` }

// badCreates is the table of bad input.
var badCreates = []struct {
	body   string
	status int
	says   string
}{
	{`not json`, 400, "invalid JSON"},
	{` `, 400, "ends too early"},
	{`null`, 400, "Config cannot be empty"},
	{`{"Image":"busybox","Labels":{"spearhead.reschedule":"maybe"}}`, 400, `invalid value for Labels["spearhead.reschedule"]: "maybe"; it is true or false`},
	{`{}`, 400, "Config cannot be empty"},
	{`[]`, 400, "the request body"},
	{`{"Image":"busybox"`, 400, "ends too early"},
	{`{"Image":"busybox"} {}`, 400, "unexpected content after"},
	{`{"Image":"busybox"} x`, 400, "unexpected content after"},
	{`{"Image":"busybox","Image":"other"}`, 400, `"Image" is there twice`},
	{`{"Image":"busybox","HostConfig":{"Privileged":true,"privileged":false}}`, 400, "twice"},
	{"{\"Image\":\"busybox\",\"HostConfig\":{\"SecurityOpt\":[],\"\u017fecurityOpt\":[]}}", 400, "twice"},
	{strings.Repeat("[", 1<<20-1), 400, "nested deeper"},
	{strings.Repeat(`{"a":`, 10_000), 400, "nested deeper"},
	{`{"Image":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "too large"},
	{`{"Cmd":["true"]}`, 400, "Image"},
	{`{"Image":5}`, 400, "Image"},
	{inHost(`"Memory":"1g"`), 400, "HostConfig.Memory"},
	{inHost(`"Memory":-1`), 400, "Minimum memory limit allowed is 6MB"},
	{inHost(`"Memory":1`), 400, "Minimum memory limit allowed is 6MB"},
	{inHost(`"Memory":9223372036854775808`), 400, "HostConfig.Memory"},
	{inHost(`"Memory":1e400`), 400, "HostConfig.Memory"},
	{inHost(`"Memory":1.5`), 400, "HostConfig.Memory"},
	{inHost(`"MemorySwap":20000000`), 400, "always set the Memory limit"},
	{inHost(`"NanoCpus":-5`), 400, "NanoCpus"},
	{inHost(`"NanoCpus":4000000001`), 400, "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"},
	{inHost(`"NanoCpus":1000000000,"CpuPeriod":1000`), 400, "Conflicting options"},
	{inHost(`"CpuQuota":5`), 400, "cfs quota"},
	{inHost(`"CpusetCpus":"1-x"`), 400, "CpusetCpus"},
	{inHost(`"BlkioWeight":5`), 400, "blkio weight"},
	{inHost(`"BlkioWeight":70000`), 400, "BlkioWeight"},
	{inHost(`"Dns":["nowhere"]`), 400, "HostConfig.Dns"},
	{inHost(`"PortBindings":{"x/tcp":[]}`), 400, "HostConfig.PortBindings"},
	{inHost(`"PortBindings":{"80/icmp":[]}`), 400, "80/icmp"},
	{inHost(`"PortBindings":{"80/tcp":[{"HostIp":"x"}]}`), 400, "HostConfig.PortBindings"},
	{inHost(`"RestartPolicy":{"Name":"sometimes"}`), 400, "unknown policy"},
	{inHost(`"RestartPolicy":{"Name":"always"},"AutoRemove":true`), 400, "AutoRemove"},
	{inHost(`"CapAdd":["CAP_EVERYTHING"]`), 400, "unknown capability"},
	{inHost(`"Binds":[":/a"]`), 400, "invalid volume specification"},
	{inHost(`"Binds":["/a:b"]`), 400, "absolute"},
	{inHost(`"Binds":["/a:/"]`), 400, "destination can't be '/'"},
	{inHost(`"Binds":["/a:/b:sideways"]`), 400, "invalid mode"},
	{inHost(`"Binds":["/a:/b","/c:/b/"]`), 400, "Duplicate mount point: /b"},
	{inHost(`"Mounts":[{"Type":"bind","Source":"x","Target":"/b"}]`), 400, "absolute"},
	{inHost(`"Mounts":[{"Type":"hole","Target":"/b"}]`), 400, "mount type unknown"},
	{inHost(`"Mounts":[{"Type":"tmpfs","Target":"/b","BindOptions":{}}]`), 400, "must not be specified"},
	{inHost(`"Tmpfs":{"/t":"loop"}`), 400, "Invalid tmpfs option"},
	{inHost(`"Ulimits":[{"Name":"luck","Soft":1,"Hard":1}]`), 400, "invalid ulimit type"},
	{inHost(`"Ulimits":[{"Name":"nofile","Soft":2,"Hard":1}]`), 400, "soft limit"},
	{inHost(`"Ulimits":[null]`), 400, "Ulimits"},
	{inHost(`"Sysctls":{"kernel.panic":"1"}`), 400, "separate kernel namespace"},
	{inHost(`"SecurityOpt":["magic=1"]`), 400, "invalid --security-opt"},
	{inHost(`"SecurityOpt":["seccomp={"]`), 400, "seccomp"},
	{inHost(`"PidMode":"theirs"`), 400, "invalid PID mode"},
	{inHost(`"IpcMode":"container:"`), 400, "invalid IPC mode"},
	{inHost(`"NetworkMode":"container:"`), 400, "invalid network mode"},
	{inHost(`"ShmSize":-1`), 400, "SHM"},
	{inHost(`"ExtraHosts":["nocolon"]`), 400, "add-host"},
	{inHost(`"StorageOpt":{"size":"big"}`), 400, "StorageOpt"},
	{inHost(`"StorageOpt":{"size":"1k"}`), 400, "a container's disk has at least 1048576 bytes"},
	{inHost(`"OomScoreAdj":1001`), 400, "oom score"},
	{inHost(`"LogConfig":{"Type":"none","Config":{"max-size":"1m"}}`), 400, "unknown log opt 'max-size' for none log driver"},
	{inHost(`"LogConfig":{"Type":"splunk"}`), 400, "no log driver named 'splunk' is registered"},
	{inHost(`"LogConfig":{"Type":"syslog"}`), 400, "syslog-address"},
	{inHost(`"Memory":16777216,"MemorySwap":8388608`), 400, "Minimum memoryswap limit should be larger than memory limit"},
	{inHost(`"Memory":16777216,"MemoryReservation":33554432`), 400, "memory reservation"},
	{inHost(`"MemorySwappiness":101`), 400, "valid memory swappiness range is 0-100"},
	{inHost(`"CpuShares":262145`), 400, "the maximum allowed cpu-shares is 262144"},
	{inHost(`"CpuQuota":18446744073719552`), 400, "CpuQuota: no machine has so many CPUs"}, // a thousand times as much is little again
	{inHost(`"CpuRealtimePeriod":1000,"CpuRealtimeRuntime":2000`), 400, "cannot be higher than cpu real-time period"},
	{inHost(`"BlkioWeightDevice":[{"Path":"/dev/sda","Weight":5}]`), 400, "BlkioWeightDevice"},
	{inHost(`"BlkioWeightDevice":[null]`), 400, "BlkioWeightDevice"},
	{inHost(`"BlkioDeviceReadBps":[{"Path":"sda","Rate":5}]`), 400, "BlkioDeviceReadBps"},
	{inHost(`"BlkioDeviceWriteIOps":[{"Path":"/dev/sda","Rate":-5}]`), 400, "HostConfig.BlkioDeviceWriteIOps"},
	{inHost(`"DeviceCgroupRules":["x 1:3 rwm"]`), 400, "invalid device cgroup rule format: 'x 1:3 rwm'"},
	{inHost(`"DeviceCgroupRules":["c 1:3 rwmx"]`), 400, "invalid device cgroup rule format"},
	{inHost(`"CgroupParent":"/a/../../b"`), 400, "HostConfig.CgroupParent"},
	{inHost(`"Umask":512`), 400, "HostConfig.Umask"},
	{inHost(`"Umask":-1`), 400, "HostConfig.Umask"},
	{inHost(`"Annotations":{"":"x"}`), 400, "invalid Annotations"},
	{inHost(`"UsernsMode":"private"`), 400, "invalid user namespace mode"},
	{inHost(`"Ulimits":[{"Name":"nofile","Soft":1,"Hard":1},{"Name":"nofile","Soft":2,"Hard":2}]`), 400, "twice"},
	{inHost(`"PortBindings":{"80/tcp":[{"HostPort":"http"}]}`), 400, "invalid port specification"},
	{inHost(`"PortBindings":{"80/tcp":[{"HostPort":"90-80"}]}`), 400, "invalid port specification"},
	{inHost(`"NetworkMode":"container:x","Links":["a:b"]`), 400, "container type network can't be used with links"},
	{inHost(`"NetworkMode":"host","Links":["a:b"]`), 400, "host type networking can't be used with links"},
	{inHost(`"NetworkMode":"container:x","Dns":["1.1.1.1"]`), 400, "dns and the network mode"},
	{inHost(`"NetworkMode":"container:x","ExtraHosts":["a:1.1.1.1"]`), 400, "custom host-to-IP mapping and the network mode"},
	{inHost(`"NetworkMode":"container:x","PublishAllPorts":true`), 400, "port publishing and the container type network mode"},
	{`{"Image":"busybox","ExposedPorts":{"80/tcp":{}},"HostConfig":{"NetworkMode":"container:x"}}`, 400, "port exposing and the container type network mode"},
	{`{"Image":"busybox","Hostname":"h","HostConfig":{"NetworkMode":"container:x"}}`, 400, "hostname and the network mode"},
	{`{"Image":"busybox","Hostname":"h","HostConfig":{"UTSMode":"host"}}`, 400, "hostname and the UTS mode"},
	{`{"Image":"busybox","NetworkDisabled":true,"HostConfig":{"NetworkMode":"host"}}`, 400, "NetworkDisabled"},
	{`{"Image":"busybox","Healthcheck":{"Test":["CMD","true"],"Interval":3}}`, 400, "Interval in Healthcheck cannot be less than 1ms"},
	{`{"Image":"busybox","Healthcheck":{"Test":["CMD","true"],"Timeout":-1}}`, 400, "Timeout in Healthcheck cannot be less than 1ms"},
	{`{"Image":"busybox","Healthcheck":{"StartPeriod":5}}`, 400, "StartPeriod in Healthcheck cannot be less than 1ms"},
	{`{"Image":"busybox","Healthcheck":{"StartInterval":5}}`, 400, "StartInterval in Healthcheck cannot be less than 1ms"},
	{`{"Image":"busybox","Healthcheck":{"Retries":-1}}`, 400, "Retries in Healthcheck cannot be negative"},
	{`{"Image":"busybox","Healthcheck":{"Test":["true"]}}`, 400, "Unknown healthcheck type 'true'"},
	{`{"Image":"busybox","Healthcheck":{"Test":["CMD"]}}`, 400, "Healthcheck.Test"},
	{`{"Image":"busybox","Healthcheck":{"Test":["CMD-SHELL","a","b"]}}`, 400, "Healthcheck.Test"},
	{`{"Image":"busybox","Env":["=x"]}`, 400, "invalid environment variable"},
	{`{"Image":"busybox","WorkingDir":"here"}`, 400, "absolute path"},
	{`{"Image":"busybox","StopSignal":"SIGNAL"}`, 400, "invalid signal"},
	{`{"Image":"busybox","Hostname":"a b"}`, 400, "Hostname"},
	{`{"Image":"busybox","Hostname":"` + strings.Repeat("h", 65) + `"}`, 400, "Hostname"},
	{`{"Image":"busybox","ExposedPorts":{"0/tcp":{}}}`, 400, "invalid port"},
	{`{"Image":"busybox","HostConfig":[]}`, 400, "HostConfig"},
}

// TestBadCreatesAreRefused holds that each is a 4xx, and nothing reaches the
// use case.
func TestBadCreatesAreRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range badCreates {
		got, status, answer := create(t, "", bad.body)
		if status != bad.status || !strings.Contains(answer, strings.ReplaceAll(bad.says, `"`, `\"`)) {
			t.Errorf("%.90s: %d %.300s, want %d with %q", bad.body, status, answer, bad.status, bad.says)
		}
		if got.Spec.Image != "" {
			t.Errorf("%.90s: reached the use case", bad.body)
		}
	}
}

func TestBadNamesAndTypesOfContentAreRefused(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	for _, name := range []string{"../../x", "a%00b", strings.Repeat("n", 129), strings.Repeat("n", 5000), "%D0%B0dmin", "-x", "x", "a/b"} {
		if status, body := request(t, s, "POST", "/containers/create?name="+name, `{"Image":"busybox"}`); status != 400 {
			t.Errorf("name %.20q: %d %s", name, status, body)
		}
	}
	for header, want := range map[string]int{"text/plain": 400, "application/json; charset=utf-8": 201, "application/jsonp": 400} {
		if status, body := request(t, s, "POST", "/containers/create", `{"Image":"busybox"}`, "Content-Type", header); status != want {
			t.Errorf("%s: %d %s, want %d", header, status, body, want)
		}
	}
	if status, body := request(t, s, "POST", "/v1.21/containers/create", `{"Image":"busybox"}`, "Content-Type", "text/plain"); status != 201 {
		t.Errorf("before 1.22 the type is not looked at: %d %s", status, body)
	}
	if len(f.created) != 2 {
		t.Errorf("%d requests reached the use case, want 2", len(f.created))
	}
}

// TestRecordedRequestIsSmall holds that a plain request costs the replicated
// state little.
func TestRecordedRequestIsSmall(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("testdata/create/cli-28.2-api-1.50-run.json")
	if err != nil {
		t.Fatal(err)
	}
	got, _, _ := create(t, "/v1.50", string(body))
	if len(got.DockerRequest) > 400 || !json.Valid(got.DockerRequest) {
		t.Errorf("%d bytes are kept: %s", len(got.DockerRequest), got.DockerRequest)
	}
}

func FuzzCreate(f *testing.F) {
	files, err := filepath.Glob("testdata/create/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("/v1.24", "", string(body))
		f.Add("", "name=x", string(body))
	}
	backend := newFake()
	backend.fail = model.Errorf(model.KindConflict, "the fake makes nothing")
	handler := backend.handler()
	f.Fuzz(func(t *testing.T, version, query, body string) {
		backend.created = nil
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = version+"/containers/create", "", query
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
