package model

// CreateContainer is a decoded request for a new container: what the account
// asked for, before the image's configuration is merged into it. Policy is
// judged on this very object, and the container is made from it.
type CreateContainer struct {
	Name      string // "" lets the head choose one
	Operation string // id of the request; a repetition makes no second container
	Platform  string // "os/arch[/variant]"; "" is the image's own
	// Spec has nil slices where the request said nothing and the image may
	// speak; an empty non-nil Entrypoint or Cmd resets the image's.
	Spec ContainerSpec
	// PublishAll publishes each port that the image or the request exposes.
	PublishAll bool
	// Volumes are what to make of names of volumes that the account does not
	// have yet; their names, sizes, options and labels are decided.
	Volumes []Volume
	// Endpoints say more of the network of Spec, and name others.
	Endpoints []Endpoint
	// Asked holds what a policy must see although no node acts on it.
	Asked Asked
	// Unsupported names, in Docker's terms (HostConfig.Links), each field with
	// a value that this version cannot honour. It is refused after policy.
	Unsupported []string
	// DockerRequest is the request in Docker's newest form; see Container.
	DockerRequest []byte
}

// Asked are fields of a create request that reach outside of a container or
// that only some data centers offer. Empty values were not asked for.
type Asked struct {
	CgroupParent      string
	Runtime           string
	Isolation         string
	UsernsMode        string
	SecurityOpt       []string // raw, as they came
	DeviceRequests    []string
	DeviceCgroupRules []string
	VolumesFrom       []string
	Links             []string
	VolumeDriver      string
	KernelMemory      int64
}

// Port is a port of a container. Published ones can be reached from outside
// on the container's own address.
type Port struct {
	Number    uint16 `json:"number"`
	Protocol  string `json:"protocol"` // tcp, udp, sctp
	Published bool   `json:"published,omitempty"`
	// Loopback says that it was to be published at a loopback address: to
	// nobody on another machine, and so to nobody.
	Loopback bool `json:"loopback,omitempty"`
	// Outside are the numbers by which a published port is reached; none is
	// its own.
	Outside []uint16 `json:"outside,omitempty"`
	// Endpoint are the numbers by which heads publish it too; see Publish.
	Endpoint []EndpointPort `json:"endpoint,omitempty"`
}

// Reached are the numbers by which the port is reached from outside, none if it
// is not published.
func (p *Port) Reached() []uint16 {
	switch {
	case !p.Published:
		return nil
	case len(p.Outside) == 0:
		return []uint16{p.Number}
	}
	return p.Outside
}
