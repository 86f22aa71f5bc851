package compat

// changes lists what differs, oldest edge first. docs/CHANGELOG.md of
// github.com/moby/moby/api is the reference.
var changes = []change{
	// 1.21: several networks; volume drivers became a matter of the host.
	{before: V(21), route: ContainerCreate, body: volumeDriverToHost},
	{before: V(21), route: ContainerInspect, lower: func(d doc) {
		moveKey(object(d, "HostConfig"), object(d, "Config"), "VolumeDriver")
		drop(object(d, "NetworkSettings"), "Networks", "SandboxID", "SandboxKey")
		drop(object(d, "State"), "Status", "Dead")
	}},
	{before: V(21), route: ContainerList, lower: dropKeys("ImageID")},

	// 1.22: events and lists in their present shape; ids of images are digests.
	{before: V(22), route: ContainerList, lower: func(d doc) {
		drop(d, "NetworkSettings", "HostConfig")
		bareDigest(d, "ImageID")
	}},
	{before: V(22), route: ContainerInspect, lower: func(d doc) { bareDigest(d, "Image") }},
	{before: V(22), route: ImageList, lower: bareImage},
	{before: V(22), route: ImageInspect, lower: bareImage},
	{before: V(22), route: ImageHistory, lower: func(d doc) { bareDigest(d, "Id") }},
	{before: V(22), route: Events, lower: dropKeys("Type", "Action", "Actor", "scope")},

	// 1.23 to 1.25
	{before: V(23), route: ContainerList, lower: dropKeys("State", "Mounts")},
	{before: V(25), route: ContainerCreate, body: inHost(dropKeys("AutoRemove"))},
	{before: V(25), route: ExecCreate, body: dropKeys("Env")},
	{before: V(25), route: Info, lower: func(d doc) {
		bareSecurityOptions(d)
		d["ExecutionDriver"] = "native"
	}},
	{before: V(25), route: ServerVersion, lower: dropKeys("MinAPIVersion")},

	// 1.30 to 1.39
	{before: V(30), route: ContainerWait, query: dropParameters("condition")},
	{before: V(32), route: ImageCreate, query: dropParameters("platform")},
	{before: V(35), route: ExecCreate, body: dropKeys("WorkingDir")},
	{before: V(35), route: ContainerLogs, query: dropParameters("until")},
	{before: V(35), route: ServerVersion, lower: dropKeys("Components", "Platform")},
	{before: V(39), route: Info, lower: func(d doc) {
		drop(d, "Warnings")
		if d["KernelVersion"] == "" {
			d["KernelVersion"] = "<unknown>"
		}
	}},

	// 1.40 and 1.41
	{before: V(40), route: ContainerCreate, body: inHost(func(host doc) {
		if mode, _ := host["IpcMode"].(string); mode == "" {
			host["IpcMode"] = "shareable"
		}
		eachMount(host, func(mount doc) { drop(object(mount, "BindOptions"), "NonRecursive") })
	})},
	{before: V(41), route: ContainerCreate, query: dropParameters("platform"), body: inHost(dropKeys("CgroupnsMode"))},
	{before: V(41), route: Info, lower: dropKeys("CgroupVersion", "DefaultAddressPools")},
	{before: V(41), route: ImageList, query: filterToReference},

	// 1.42: sizes of terminals, signals of stop, mounts checked by type.
	{before: V(42), route: ContainerCreate, body: inHost(func(host doc) {
		drop(host, "ConsoleSize")
		eachMount(host, dropForeignOptions)
	})},
	{before: V(42), route: ExecCreate, body: dropKeys("ConsoleSize")},
	{before: V(42), route: ExecStart, body: dropKeys("ConsoleSize")},
	{before: V(42), route: ContainerStop, query: dropParameters("signal")},
	{before: V(42), route: ContainerRestart, query: dropParameters("signal")},
	{before: V(42), route: ContainerInspect, lower: func(d doc) {
		setDefault(object(d, "HostConfig"), "KernelMemory", 0)
	}},
	{before: V(42), route: Info, lower: func(d doc) { setDefault(d, "KernelMemory", false) }},

	// 1.43 to 1.45
	{before: V(43), route: ImageList, lower: nameless},
	{before: V(44), route: ImageList, lower: virtualSize},
	{before: V(44), route: ImageInspect, lower: virtualSize},
	{before: V(44), route: ContainerInspect, lower: eachEndpoint(dropKeys("DNSNames"))},
	{before: V(44), route: ContainerList, lower: eachEndpoint(dropKeys("DNSNames"))},
	{before: V(45), route: ContainerInspect, lower: aliasShortID},
	{before: V(45), route: ImageInspect, lower: func(d doc) {
		setDefault(d, "Container", "")
		setDefault(d, "ContainerConfig", nil)
	}},

	// 1.48 to 1.51
	{before: V(48), route: ContainerInspect, lower: eachEndpoint(dropKeys("GwPriority"))},
	{before: V(48), route: ContainerList, lower: eachEndpoint(dropKeys("GwPriority"))},
	{before: V(49), route: Info, lower: func(d doc) {
		for _, commit := range []string{"ContainerdCommit", "RuncCommit", "InitCommit"} {
			if c := object(d, commit); c != nil {
				setDefault(c, "Expected", c["ID"])
			}
		}
		if r := object(d, "RegistryConfig"); r != nil {
			setDefault(r, "AllowNondistributableArtifactsCIDRs", nil)
			setDefault(r, "AllowNondistributableArtifactsHostnames", nil)
		}
		drop(d, "FirewallBackend")
	}},
	{before: V(50), route: Info, lower: func(d doc) {
		setDefault(d, "BridgeNfIptables", false)
		setDefault(d, "BridgeNfIp6tables", false)
		drop(d, "DiscoveredDevices")
	}},
	{before: V(50), route: ImageInspect, lower: runtimeConfigOfImage},
	{before: V(51), route: ImageList, lower: func(d doc) { d["Containers"] = -1 }},

	// 1.52: the last of what Docker 1.9 had deprecated.
	{before: V(52), route: ContainerCreate, body: func(d doc) {
		commandLists(d)
		macToEndpoint(d)
	}},
	{before: V(52), route: ContainerInspect, lower: func(d doc) {
		addressesToTop(object(d, "NetworkSettings"))
		setDefault(object(d, "Config"), "OnBuild", nil)
	}},
	{before: V(52), route: ImageInspect, lower: emptyImageFields},
	{before: V(52), route: Info, lower: func(d doc) { setDefault(d, "KernelMemoryTCP", false) }},
	{before: V(52), route: Events, lower: legacyEvent},
	{before: V(53), route: Info, lower: dropKeys("NRI")},
}
