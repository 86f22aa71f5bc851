package compat

var networkChanges = []change{
	{before: V(23), route: NetworkList, lower: dropKeys("EnableIPv6", "Internal")},
	// A list told of each network which containers are on it.
	{before: V(28), route: NetworkList, lower: func(d doc) { setDefault(d, "Containers", doc{}) }},
	{before: V(48), route: NetworkList, lower: dropKeys("EnableIPv4")},

	{before: V(23), route: NetworkInspect, lower: dropKeys("EnableIPv6", "Internal")},
	{before: V(48), route: NetworkInspect, lower: dropKeys("EnableIPv4")},
	{before: V(52), route: NetworkInspect, lower: dropKeys("Status")},
}
