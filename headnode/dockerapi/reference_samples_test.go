package dockerapi

// sample is a value to try a field with, and the fields without which it means nothing.
type sample struct {
	value  any
	beside map[string]any
}

// formerFields are fields that the newest version has no more.
var formerFields = map[string]sample{
	"MacAddress":                 {value: "02:00:00:00:00:09"},
	"VolumeDriver":               {value: "nfs"},
	"HostConfig.KernelMemory":    {value: 67108864},
	"HostConfig.KernelMemoryTCP": {value: 67108864},
	"HostConfig.LxcConf":         {value: map[string]any{"lxc.utsname": "x"}},
}

// sampleOf is the sample for a field: the field's own, or a word, which fits
// most fields that are text.
func sampleOf(field string) sample {
	for _, of := range []map[string]sample{formerFields, configSamples, hostSamples, limitSamples, mountSamples, networkSamples} {
		if s, ok := of[field]; ok {
			return s
		}
	}
	return sample{value: "x"}
}

var configSamples = map[string]sample{
	"Image":                     {value: "alpine"},
	"AttachStdin":               {value: true},
	"AttachStdout":              {value: true},
	"AttachStderr":              {value: true},
	"ExposedPorts":              {value: map[string]any{"80/tcp": map[string]any{}}},
	"Tty":                       {value: true},
	"OpenStdin":                 {value: true},
	"StdinOnce":                 {value: true},
	"Env":                       {value: []string{"A=b"}},
	"Cmd":                       {value: []string{"true"}},
	"Healthcheck.Test":          {value: []string{"CMD", "true"}},
	"Healthcheck.Interval":      {value: 1_000_000_000, beside: someHealthcheck},
	"Healthcheck.Timeout":       {value: 1_000_000_000, beside: someHealthcheck},
	"Healthcheck.StartPeriod":   {value: 1_000_000_000, beside: someHealthcheck},
	"Healthcheck.StartInterval": {value: 1_000_000_000, beside: someHealthcheck},
	"Healthcheck.Retries":       {value: 2, beside: someHealthcheck},
	"ArgsEscaped":               {value: true},
	"Volumes":                   {value: map[string]any{"/data": map[string]any{}}},
	"WorkingDir":                {value: "/srv"},
	"Entrypoint":                {value: []string{"sh"}},
	"NetworkDisabled":           {value: true},
	"OnBuild":                   {value: []string{"RUN true"}},
	"Labels":                    {value: map[string]any{"a": "b"}},
	"StopSignal":                {value: "SIGINT"},
	"StopTimeout":               {value: 5},
	"Shell":                     {value: []string{"/bin/bash", "-c"}},
}

var someHealthcheck = map[string]any{"Healthcheck.Test": []string{"CMD", "true"}}

var hostSamples = map[string]sample{
	"HostConfig.Binds":                           {value: []string{"/srv:/data"}},
	"HostConfig.LogConfig.Type":                  {value: "none"},
	"HostConfig.LogConfig.Config":                {value: map[string]any{"max-size": "1m"}, beside: map[string]any{"HostConfig.LogConfig.Type": "json-file"}},
	"HostConfig.NetworkMode":                     {value: "none"},
	"HostConfig.RestartPolicy.Name":              {value: "always"},
	"HostConfig.RestartPolicy.MaximumRetryCount": {value: 3, beside: map[string]any{"HostConfig.RestartPolicy.Name": "on-failure"}},
	"HostConfig.AutoRemove":                      {value: true},
	"HostConfig.VolumesFrom":                     {value: []string{"web"}},
	"HostConfig.ConsoleSize":                     {value: []int{24, 80}, beside: map[string]any{"Tty": true}},
	"HostConfig.Annotations":                     {value: map[string]any{"a": "b"}},
	"HostConfig.CapAdd":                          {value: []string{"SYS_ADMIN"}},
	"HostConfig.CapDrop":                         {value: []string{"CHOWN"}},
	"HostConfig.CgroupnsMode":                    {value: "host"},
	"HostConfig.Dns":                             {value: []string{"10.0.0.1"}},
	"HostConfig.DnsOptions":                      {value: []string{"ndots:2"}},
	"HostConfig.DnsSearch":                       {value: []string{"example.com"}},
	"HostConfig.ExtraHosts":                      {value: []string{"db:10.0.0.1"}},
	"HostConfig.GroupAdd":                        {value: []string{"9"}},
	"HostConfig.IpcMode":                         {value: "host"},
	"HostConfig.Cgroup":                          {value: "container:web"},
	"HostConfig.Links":                           {value: []string{"web:db"}},
	"HostConfig.OomScoreAdj":                     {value: 100},
	"HostConfig.PidMode":                         {value: "host"},
	"HostConfig.Privileged":                      {value: true},
	"HostConfig.PublishAllPorts":                 {value: true},
	"HostConfig.ReadonlyRootfs":                  {value: true},
	"HostConfig.SecurityOpt":                     {value: []string{"seccomp=unconfined"}},
	"HostConfig.StorageOpt":                      {value: map[string]any{"size": "1G"}},
	"HostConfig.Tmpfs":                           {value: map[string]any{"/run": ""}},
	"HostConfig.UTSMode":                         {value: "host"},
	"HostConfig.UsernsMode":                      {value: "host"},
	"HostConfig.ShmSize":                         {value: 1 << 20},
	"HostConfig.Sysctls":                         {value: map[string]any{"kernel.shmmax": "1"}},
	"HostConfig.Umask":                           {value: 0o77},
	"HostConfig.Isolation":                       {value: "process"},
	"HostConfig.MaskedPaths":                     {value: []string{"/proc/keys"}},
	"HostConfig.ReadonlyPaths":                   {value: []string{"/proc/sys"}},
	"HostConfig.Init":                            {value: true},
}

const someMemory = 64 << 20

var limitSamples = map[string]sample{
	"HostConfig.CpuShares":                     {value: 512},
	"HostConfig.Memory":                        {value: someMemory},
	"HostConfig.NanoCpus":                      {value: 500_000_000},
	"HostConfig.BlkioWeight":                   {value: 500},
	"HostConfig.BlkioWeightDevice[].Path":      {value: "/dev/vdb", beside: someWeight},
	"HostConfig.BlkioWeightDevice[].Weight":    {value: 600, beside: someWeight},
	"HostConfig.BlkioDeviceReadBps[].Path":     {value: "/dev/vdb", beside: someRate("ReadBps")},
	"HostConfig.BlkioDeviceReadBps[].Rate":     {value: 2048, beside: someRate("ReadBps")},
	"HostConfig.BlkioDeviceWriteBps[].Path":    {value: "/dev/vdb", beside: someRate("WriteBps")},
	"HostConfig.BlkioDeviceWriteBps[].Rate":    {value: 2048, beside: someRate("WriteBps")},
	"HostConfig.BlkioDeviceReadIOps[].Path":    {value: "/dev/vdb", beside: someRate("ReadIOps")},
	"HostConfig.BlkioDeviceReadIOps[].Rate":    {value: 2048, beside: someRate("ReadIOps")},
	"HostConfig.BlkioDeviceWriteIOps[].Path":   {value: "/dev/vdb", beside: someRate("WriteIOps")},
	"HostConfig.BlkioDeviceWriteIOps[].Rate":   {value: 2048, beside: someRate("WriteIOps")},
	"HostConfig.CpuPeriod":                     {value: 50_000},
	"HostConfig.CpuQuota":                      {value: 50_000},
	"HostConfig.CpuRealtimePeriod":             {value: 1_000_000},
	"HostConfig.CpuRealtimeRuntime":            {value: 100_000},
	"HostConfig.CpusetCpus":                    {value: "0"},
	"HostConfig.CpusetMems":                    {value: "0"},
	"HostConfig.Devices[].PathOnHost":          {value: "/dev/zero", beside: someDevice},
	"HostConfig.Devices[].PathInContainer":     {value: "/dev/full", beside: someDevice},
	"HostConfig.Devices[].CgroupPermissions":   {value: "r", beside: someDevice},
	"HostConfig.DeviceCgroupRules":             {value: []string{"c 1:3 rwm"}},
	"HostConfig.DeviceRequests[].Count":        {value: 1},
	"HostConfig.DeviceRequests[].DeviceIDs":    {value: []string{"0"}},
	"HostConfig.DeviceRequests[].Capabilities": {value: [][]string{{"gpu"}}},
	"HostConfig.DeviceRequests[].Options":      {value: map[string]any{"a": "b"}},
	"HostConfig.MemoryReservation":             {value: someMemory / 2},
	"HostConfig.MemorySwap":                    {value: -1, beside: map[string]any{"HostConfig.Memory": someMemory}},
	"HostConfig.MemorySwappiness":              {value: 10},
	"HostConfig.OomKillDisable":                {value: true},
	"HostConfig.PidsLimit":                     {value: 50},
	"HostConfig.Ulimits[].Name":                {value: "nproc", beside: someUlimit},
	"HostConfig.Ulimits[].Hard":                {value: 20, beside: someUlimit},
	"HostConfig.Ulimits[].Soft":                {value: 5, beside: someUlimit},
	"HostConfig.CpuCount":                      {value: 1},
	"HostConfig.CpuPercent":                    {value: 50},
	"HostConfig.IOMaximumIOps":                 {value: 100},
	"HostConfig.IOMaximumBandwidth":            {value: 100},
}

var (
	someDevice = map[string]any{"HostConfig.Devices[].PathOnHost": "/dev/null"}
	someUlimit = map[string]any{
		"HostConfig.Ulimits[].Name": "nofile", "HostConfig.Ulimits[].Soft": 10, "HostConfig.Ulimits[].Hard": 10,
	}
	someWeight = map[string]any{
		"HostConfig.BlkioWeightDevice[].Path": "/dev/vda", "HostConfig.BlkioWeightDevice[].Weight": 500,
	}
)

func someRate(of string) map[string]any {
	return map[string]any{"HostConfig.BlkioDevice" + of + "[].Path": "/dev/vda", "HostConfig.BlkioDevice" + of + "[].Rate": 1024}
}

var mountSamples = map[string]sample{
	"HostConfig.Mounts[].Type":                               {value: "tmpfs", beside: aMount("volume", "Source", "")},
	"HostConfig.Mounts[].Source":                             {value: "/other", beside: aMount("bind")},
	"HostConfig.Mounts[].Target":                             {value: "/other", beside: aMount("bind")},
	"HostConfig.Mounts[].ReadOnly":                           {value: true, beside: aMount("bind")},
	"HostConfig.Mounts[].Consistency":                        {value: "cached", beside: aMount("bind")},
	"HostConfig.Mounts[].BindOptions.Propagation":            {value: "rshared", beside: aMount("bind")},
	"HostConfig.Mounts[].BindOptions.NonRecursive":           {value: true, beside: aMount("bind")},
	"HostConfig.Mounts[].BindOptions.CreateMountpoint":       {value: true, beside: aMount("bind")},
	"HostConfig.Mounts[].BindOptions.ReadOnlyNonRecursive":   {value: true, beside: aMount("bind", "ReadOnly", true)},
	"HostConfig.Mounts[].BindOptions.ReadOnlyForceRecursive": {value: true, beside: aMount("bind", "ReadOnly", true)},
	"HostConfig.Mounts[].VolumeOptions.NoCopy":               {value: true, beside: aMount("volume")},
	"HostConfig.Mounts[].VolumeOptions.Labels":               {value: map[string]any{"a": "b"}, beside: aMount("volume")},
	"HostConfig.Mounts[].VolumeOptions.Subpath":              {value: "x", beside: aMount("volume")},
	"HostConfig.Mounts[].VolumeOptions.DriverConfig.Name":    {value: "tritonnfs", beside: aMount("volume")},
	"HostConfig.Mounts[].VolumeOptions.DriverConfig.Options": {value: map[string]any{"size": "1g"}, beside: aMount("volume")},
	"HostConfig.Mounts[].ImageOptions.Subpath":               {value: "x", beside: aMount("image")},
	"HostConfig.Mounts[].TmpfsOptions.SizeBytes":             {value: 1 << 20, beside: aMount("tmpfs", "Source", "")},
	"HostConfig.Mounts[].TmpfsOptions.Mode":                  {value: 0o700, beside: aMount("tmpfs", "Source", "")},
	"HostConfig.Mounts[].TmpfsOptions.Options":               {value: [][]string{{"noexec"}}, beside: aMount("tmpfs", "Source", "")},
	"HostConfig.Mounts[].ClusterOptions":                     {value: map[string]any{}, beside: aMount("cluster")},
}

// aMount is a mount of that type at /data, with more fields.
func aMount(kind string, more ...any) map[string]any {
	fields := map[string]any{"Type": kind, "Source": "/srv", "Target": "/data"}
	if kind == "volume" {
		fields["Source"] = "data"
	}
	for i := 0; i < len(more); i += 2 {
		fields[more[i].(string)] = more[i+1]
	}
	mount := map[string]any{}
	for name, value := range fields {
		mount["HostConfig.Mounts[]."+name] = value
	}
	return mount
}

const ends = "NetworkingConfig.EndpointsConfig[*]."

var onNetwork = map[string]any{"HostConfig.NetworkMode": "x"}

var networkSamples = map[string]sample{
	"HostConfig.PortBindings[*][].HostIp":   {value: "10.0.0.1"},
	"HostConfig.PortBindings[*][].HostPort": {value: "8080"},

	ends + "IPAMConfig.IPv4Address":  {value: "10.0.0.5", beside: onNetwork},
	ends + "IPAMConfig.IPv6Address":  {value: "fd00::5", beside: onNetwork},
	ends + "IPAMConfig.LinkLocalIPs": {value: []string{"169.254.1.1"}, beside: onNetwork},
	ends + "Links":                   {value: []string{"web:db"}, beside: onNetwork},
	ends + "Aliases":                 {value: []string{"db"}, beside: onNetwork},
	ends + "DriverOpts":              {value: map[string]any{"a": "b"}, beside: onNetwork},
	ends + "GwPriority":              {value: 1, beside: onNetwork},
	ends + "NetworkID":               {value: "x", beside: onNetwork},
	ends + "EndpointID":              {value: "x", beside: onNetwork},
	ends + "Gateway":                 {value: "10.0.0.1", beside: onNetwork},
	ends + "IPAddress":               {value: "10.0.0.5", beside: onNetwork},
	ends + "MacAddress":              {value: "02:00:00:00:00:09", beside: onNetwork},
	ends + "IPPrefixLen":             {value: 24, beside: onNetwork},
	ends + "IPv6Gateway":             {value: "fd00::1", beside: onNetwork},
	ends + "GlobalIPv6Address":       {value: "fd00::5", beside: onNetwork},
	ends + "GlobalIPv6PrefixLen":     {value: 64, beside: onNetwork},
	ends + "DNSNames":                {value: []string{"db"}, beside: onNetwork},
}
