package compat

var imageChanges = []change{
	{before: V(22), route: ImageList, lower: bareImage},
	{before: V(41), route: ImageList, query: filterToReference},
	{before: V(42), route: ImageList, query: dropParameters("shared-size")},
	{before: V(43), route: ImageList, lower: nameless},
	{before: V(44), route: ImageList, lower: virtualSize},
	{before: V(47), route: ImageList, query: dropParameters("manifests"), lower: dropKeys("Manifests")},
	{before: V(48), route: ImageList, lower: dropKeys("Descriptor")},
	{before: V(51), route: ImageList, lower: func(d doc) { d["Containers"] = -1 }},
	{before: V(54), route: ImageList, query: dropParameters("identity")},

	{before: V(22), route: ImageInspect, lower: bareImage},
	{before: V(44), route: ImageInspect, lower: func(d doc) {
		virtualSize(d)
		setDefault(d, "Created", "0001-01-01T00:00:00Z")
	}},
	{before: V(45), route: ImageInspect, lower: func(d doc) {
		setDefault(d, "Container", "")
		setDefault(d, "ContainerConfig", nil)
	}},
	{before: V(48), route: ImageInspect, query: dropParameters("manifests"), lower: dropKeys("Descriptor", "Manifests")},
	{before: V(49), route: ImageInspect, query: dropParameters("platform")},
	{before: V(50), route: ImageInspect, lower: runtimeConfigOfImage},
	{before: V(52), route: ImageInspect, lower: emptyImageFields},
	{before: V(53), route: ImageInspect, lower: dropKeys("Identity")},

	{before: V(22), route: ImageHistory, lower: func(d doc) { bareDigest(d, "Id") }},
	{before: V(48), route: ImageHistory, query: dropParameters("platform")},

	{before: V(32), route: ImageCreate, query: dropParameters("platform")},
	{before: V(22), route: ImageSearch, query: dropParameters("limit")},
	{before: V(24), route: ImageSearch, query: dropParameters("filters")},
	{before: V(46), route: ImagePush, query: dropParameters("platform")},
	{before: V(48), route: ImageSave, query: dropParameters("platform")},
	{before: V(48), route: ImageSaveOne, query: dropParameters("platform")},
	{before: V(23), route: ImageLoad, query: dropParameters("quiet")},
	{before: V(48), route: ImageLoad, query: dropParameters("platform")},
	{before: V(50), route: ImageRemove, query: dropParameters("platforms")},
}
