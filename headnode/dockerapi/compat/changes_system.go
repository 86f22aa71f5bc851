package compat

var systemChanges = []change{
	{before: V(25), route: Info, lower: func(d doc) {
		bareSecurityOptions(d)
		d["ExecutionDriver"] = "native"
	}},
	{before: V(39), route: Info, lower: func(d doc) {
		drop(d, "Warnings")
		for _, key := range []string{"KernelVersion", "OperatingSystem"} {
			if d[key] == "" {
				d[key] = "<unknown>"
			}
		}
	}},
	{before: V(41), route: Info, lower: dropKeys("CgroupVersion", "DefaultAddressPools")},
	{before: V(42), route: Info, lower: func(d doc) { setDefault(d, "KernelMemory", false) }},
	{before: V(44), route: Info, lower: func(d doc) {
		eachOf("Runtimes", dropKeys("status"))(d)
		drop(d, "CDISpecDirs")
	}},
	{before: V(46), route: Info, lower: dropKeys("Containerd")},
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
	{before: V(52), route: Info, lower: func(d doc) { setDefault(d, "KernelMemoryTCP", false) }},
	{before: V(53), route: Info, lower: dropKeys("NRI")},

	{before: V(25), route: ServerVersion, lower: dropKeys("MinAPIVersion")},
	{before: V(35), route: ServerVersion, lower: dropKeys("Components", "Platform")},

	{before: V(22), route: Events, lower: dropKeys("Type", "Action", "Actor", "scope")},
	{before: V(52), route: Events, lower: legacyEvent},

	// Sums were for clients to make: they got the lists.
	{before: V(42), route: DiskUsage, query: dropParameters("type"), lower: func(d doc) { setDefault(d, "BuilderSize", 0) }},
	{before: V(43), route: DiskUsage, lower: eachOf("Images", nameless)},
	{before: V(44), route: DiskUsage, lower: func(d doc) {
		eachOf("Images", virtualSize)(d)
		eachOf("Containers", eachEndpoint(dropKeys("DNSNames")))(d)
	}},
	{before: V(48), route: DiskUsage, lower: eachOf("Containers", eachEndpoint(dropKeys("GwPriority")))},
	{before: V(52), route: DiskUsage, lower: func(d doc) {
		eachOf("Containers", dropKeys("Health"))(d)
		drop(d, "ImageUsage", "ContainerUsage", "VolumeUsage", "BuildCacheUsage")
	}},
	{before: V(53), route: DiskUsage, query: setParameters("verbose"), lower: usageLists},
}
