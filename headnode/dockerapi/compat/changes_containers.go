package compat

var containerChanges = []change{
	{before: V(21), route: ContainerList, lower: dropKeys("ImageID")},
	{before: V(22), route: ContainerList, lower: func(d doc) {
		drop(d, "NetworkSettings")
		bareDigest(d, "ImageID")
	}},
	{before: V(23), route: ContainerList, lower: dropKeys("State", "Mounts")},
	// Two filters of lists were parameters first.
	{before: V(25), route: ContainerList, query: parametersToFilters("before", "since")},
	{before: V(44), route: ContainerList, lower: eachEndpoint(dropKeys("DNSNames"))},
	{before: V(46), route: ContainerList, lower: func(d doc) { drop(object(d, "HostConfig"), "Annotations") }},
	{before: V(48), route: ContainerList, lower: func(d doc) {
		eachEndpoint(dropKeys("GwPriority"))(d)
		drop(d, "ImageManifestDescriptor")
	}},
	{before: V(52), route: ContainerList, lower: func(d doc) {
		drop(d, "Health")
		eachOf("Ports", func(port doc) { dropEmpty(port, "IP") })(d)
	}},

	{before: V(21), route: ContainerInspect, lower: func(d doc) {
		moveKey(object(d, "HostConfig"), object(d, "Config"), "VolumeDriver")
		drop(object(d, "NetworkSettings"), "Networks", "SandboxID")
		drop(object(d, "State"), "Status")
	}},
	{before: V(22), route: ContainerInspect, lower: func(d doc) { bareDigest(d, "Image") }},
	{before: V(24), route: ContainerInspect, lower: func(d doc) {
		drop(object(d, "State"), "Health")
		drop(object(d, "Config"), "Healthcheck")
	}},
	{before: V(42), route: ContainerInspect, lower: func(d doc) {
		setDefault(object(d, "HostConfig"), "KernelMemory", 0)
		setDefault(object(d, "HostConfig"), "KernelMemoryTCP", 0)
	}},
	{before: V(44), route: ContainerInspect, lower: eachEndpoint(dropKeys("DNSNames"))},
	{before: V(45), route: ContainerInspect, lower: aliasShortID},
	{before: V(48), route: ContainerInspect, lower: func(d doc) {
		eachEndpoint(dropKeys("GwPriority"))(d)
		drop(d, "ImageManifestDescriptor")
	}},
	{before: V(52), route: ContainerInspect, lower: func(d doc) {
		addressesToTop(object(d, "NetworkSettings"))
		setDefault(object(d, "Config"), "OnBuild", nil)
		storageToGraphDriver(d)
	}},
	{before: V(56), route: ContainerInspect, lower: func(d doc) { drop(object(d, "HostConfig"), "Umask") }},

	// A field that a client's version did not have asked for nothing, unless
	// it says what the container is to be kept from: that is refused by name.
	{before: V(21), route: ContainerCreate, body: volumeDriverToHost},
	{before: V(25), route: ContainerCreate, body: inHost(dropKeys("AutoRemove"))},
	{before: V(40), route: ContainerCreate, body: inHost(func(host doc) {
		if mode, _ := host["IpcMode"].(string); mode == "" {
			host["IpcMode"] = "shareable"
		}
		eachMount(host, func(mount doc) { drop(object(mount, "BindOptions"), "NonRecursive") })
	})},
	{before: V(41), route: ContainerCreate, query: dropParameters("platform"), body: inHost(dropKeys("CgroupnsMode"))},
	{before: V(42), route: ContainerCreate, body: inHost(func(host doc) {
		drop(host, "ConsoleSize")
		eachMount(host, dropForeignOptions)
	})},
	{before: V(43), route: ContainerCreate, body: inHost(dropKeys("Annotations"))},
	{before: V(44), route: ContainerCreate, body: func(d doc) {
		drop(object(d, "Healthcheck"), "StartInterval")
		eachOf("EndpointsConfig", dropKeys("MacAddress"))(object(d, "NetworkingConfig"))
	}},
	{before: V(48), route: ContainerCreate, body: func(d doc) {
		eachOf("EndpointsConfig", dropKeys("GwPriority"))(object(d, "NetworkingConfig"))
	}},
	{before: V(52), route: ContainerCreate, body: func(d doc) {
		commandLists(d)
		macToEndpoint(d)
	}},
	{before: V(56), route: ContainerCreate, body: inHost(dropKeys("Umask"))},

	{before: V(23), route: ContainerUpdate, body: dropKeys("RestartPolicy")},
	{before: V(28), route: ContainerUpdate, body: dropKeys("NanoCpus")},
	{before: V(40), route: ContainerUpdate, body: dropKeys("PidsLimit")},
	{before: V(55), route: ContainerUpdate, body: dropKeys("BlkioWeightDevice",
		"BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps")},

	{before: V(30), route: ContainerWait, query: dropParameters("condition")},
	{before: V(23), route: ContainerLogs, query: dropParameters("details")},
	{before: V(35), route: ContainerLogs, query: dropParameters("until")},
	{before: V(42), route: ContainerStop, query: dropParameters("signal")},
	{before: V(42), route: ContainerRestart, query: dropParameters("signal")},
	{before: V(22), route: ContainerCommit, lower: func(d doc) { bareDigest(d, "Id") }},
	{before: V(30), route: ArchivePut, query: dropParameters("copyUIDGID")},

	{before: V(21), route: ContainerStats, lower: sumOfNetworks},
	{before: V(23), route: ContainerStats, lower: dropKeys("pids_stats")},
	{before: V(27), route: ContainerStats, lower: func(d doc) {
		drop(object(d, "cpu_stats"), "online_cpus")
		drop(object(d, "precpu_stats"), "online_cpus")
	}},
	{before: V(41), route: ContainerStats, query: dropParameters("one-shot")},
	{before: V(52), route: ContainerStats, lower: dropKeys("os_type")},
}

var execChanges = []change{
	{before: V(25), route: ExecCreate, body: dropKeys("Env")},
	{before: V(35), route: ExecCreate, body: dropKeys("WorkingDir")},
	{before: V(42), route: ExecCreate, body: dropKeys("ConsoleSize")},
	{before: V(42), route: ExecStart, body: dropKeys("ConsoleSize")},
}
