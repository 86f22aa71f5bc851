package placement

// reason is why a node is out of the question. The order is that of what an
// operator or user would want to hear first: a node that is not there has no
// memory to lack.
type reason uint8

const (
	none reason = iota
	notApproved
	givenUp
	hasIt
	notAsked
	elsewhere
	notConnected
	failingStorage
	oldCopy
	cordoned
	noImage
	otherPlatform
	otherStorage
	otherOwners
	otherTraits
	noNetwork
	brokenRule // counted by rule
	noRoom
	fullStorage
	noMemory
	noCPU
	noDisk
	noVolumeQuota
	noDiskQuota
	reasons
)

var reasonTexts = [reasons]string{
	notApproved:    "are not approved",
	givenUp:        "are given up as lost",
	elsewhere:      "do not hold what the container must share",
	notAsked:       "are not the one that was asked for",
	hasIt:          "are where it is now",
	oldCopy:        "have an old copy of it that is being removed (try again in a moment)",
	notConnected:   "are not connected",
	cordoned:       "are cordoned",
	failingStorage: "have storage that fails",
	fullStorage:    "have no space left",
	otherPlatform:  "have another platform",
	otherStorage:   "keep files in another way",
	noImage:        "do not hold the image, which is at no registry",
	otherOwners:    "are kept for other accounts",
	otherTraits:    "have other traits than those asked for",
	noNetwork:      "lack a network",
	brokenRule:     "are excluded by affinity",
	noRoom:         "have as many containers as they may",
	noMemory:       "lack memory",
	noCPU:          "lack CPU",
	noDisk:         "lack disk",
	noVolumeQuota:  "cannot hold volumes to a size",
	noDiskQuota:    "cannot hold containers to a disk size",
}

// refuses tells why the node at i cannot have the container, and for a broken
// rule which.
func (s *scan) refuses(i int) (reason, int) {
	n, r := &s.nodes[i], s.request
	switch {
	case n.standing == notApproved || n.standing == givenUp:
		return n.standing, 0
	case r.Left != "" && s.places[i].ID == r.Left:
		return hasIt, 0
	case s.only != anyNode && int32(i) != s.only && r.Left != "":
		return notAsked, 0
	case s.only != anyNode && int32(i) != s.only:
		return elsewhere, 0
	case !n.connected:
		return notConnected, 0
	case n.fault == failingStorage:
		return failingStorage, 0
	case s.former[i]:
		return oldCopy, 0
	case n.standing != none:
		return n.standing, 0
	case r.OnlyHolders && !s.holds[i]:
		return noImage, 0
	case s.classes[n.kind] != none:
		return s.classes[n.kind], 0
	}
	for k := range r.Demands {
		if !r.Demands[k].Soft && !s.kept[k][i] {
			return brokenRule, k
		}
	}
	return s.lacks(n), 0
}

// lacks tells what a node has too little of.
func (s *scan) lacks(n *vital) reason {
	r := s.request
	disk := r.VolumeDisk
	if n.quota {
		disk += r.Need.Disk
	}
	switch {
	case int(n.room) < max(r.Count, 1):
		return noRoom
	case n.fault != none:
		return n.fault
	case r.Need.Memory > 0 && r.Need.Memory > n.free.Memory:
		return noMemory
	case r.Need.CPU > 0 && r.Need.CPU > n.free.CPU:
		return noCPU
	case r.VolumeDisk > 0 && !n.volumeQuota:
		return noVolumeQuota
	case r.HeldDisk && !n.quota:
		return noDiskQuota
	case disk > 0 && disk > n.free.Disk:
		return noDisk
	}
	return none
}
