package placement

import "slices"

// Join adds what another container needs, so that the node which is chosen
// holds both: it has all that either asks for. What is about the account and
// its other containers stays.
func (r *Request) Join(o *Request) {
	r.Count = max(r.Count, 1) + max(o.Count, 1)
	r.Need = r.Need.Add(o.Need)
	r.VolumeDisk += o.VolumeDisk
	r.NICTags, r.Traits = union(r.NICTags, o.NICTags), union(r.Traits, o.Traits)
	r.Fabric = r.Fabric || o.Fabric
	if r.Platform == "" {
		r.Platform = o.Platform // of containers of one node all are the same
	}
	switch {
	case r.OnlyHolders == o.OnlyHolders: // a node that holds one image only saves less
		r.Holders = slices.DeleteFunc(slices.Clone(r.Holders), func(id string) bool { return !slices.Contains(o.Holders, id) })
	case o.OnlyHolders:
		r.Holders, r.OnlyHolders = o.Holders, true
	}
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
