package model

import "strconv"

// Publish says where published ports of containers are reached, besides on the
// containers' own addresses.
type Publish string

// PublishContainer publishes on containers' own addresses only.
// PublishEndpoint also publishes on each head's address, as a single docker
// host would; a number is then one container's at a time in the whole data
// center. PublishDefault leaves an account with what the data center says.
const (
	PublishDefault   Publish = ""
	PublishContainer Publish = "container"
	PublishEndpoint  Publish = "endpoint"
)

// SettingPublish is the setting that has the data center's Publish; without it
// that is PublishContainer.
const SettingPublish = "publish"

// CheckPublish returns an error of KindInvalid if p is none of the above.
func CheckPublish(p Publish) error {
	switch p {
	case PublishDefault, PublishContainer, PublishEndpoint:
		return nil
	}
	return Errorf(KindInvalid, "unknown place to publish ports %q: use %s or %s", clip(string(p)), PublishContainer, PublishEndpoint)
}

// Numbers that heads give to published ports which ask for none. The kernel of
// a head gives none of these to connections of its own.
const (
	FirstEndpointPort uint16 = 61000
	LastEndpointPort  uint16 = 65535
)

// EndpointPort is a number by which heads publish a port of a container.
type EndpointPort struct {
	// First and Last are what was asked for: one number, several to choose
	// from, or any if they are 0.
	First uint16 `json:"first,omitempty"`
	Last  uint16 `json:"last,omitempty"`
	// Number is what it has become; 0 before it was decided.
	Number uint16 `json:"number,omitempty"`
}

// Exact reports whether one number was asked for. It is the container's only
// while that runs; one that was chosen is the container's until it is removed.
func (e EndpointPort) Exact() bool { return e.First != 0 && e.First == e.Last }

// AtHeads are the numbers by which heads publish the port.
func (p *Port) AtHeads() []uint16 {
	var numbers []uint16
	for _, e := range p.Endpoint {
		if e.Number != 0 {
			numbers = append(numbers, e.Number)
		}
	}
	return numbers
}

// EndpointKey is a number at heads' addresses in one protocol, as text.
func EndpointKey(protocol string, number uint16) string {
	return protocol + "/" + strconv.Itoa(int(number))
}

// ErrPortAllocated refuses, in Docker's words, to start a container that is to
// be published at heads' addresses by a number which cannot be had.
func ErrPortAllocated(c *Container, number uint16) error {
	return Errorf(KindConflict, "failed to set up container networking: driver failed programming external connectivity on endpoint %s (%s): "+
		"Bind for 0.0.0.0:%d failed: port is already allocated", c.Name, c.ID, number)
}
