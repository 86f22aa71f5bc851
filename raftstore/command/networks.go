package command

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// The numbers of the commands about networks beside PutNetwork.
const (
	NumberCreateNetwork Number = 66
	NumberRemoveNetwork Number = 67
	NumberConnectNIC    Number = 68
	NumberDisconnectNIC Number = 69
	NumberNICsTold      Number = 70
)

// CreateNetwork makes a fabric of an account. It is KindConflict if the
// account has one of that name or if the VNI is taken, and KindForbidden, in
// Docker's words, if the subnet overlaps with another one of the account.
type CreateNetwork struct {
	Network model.Network `json:"network"`
}

// RemoveNetwork removes a network: KindForbidden, in Docker's words, while
// containers or builders are on it. One that is not there is no error.
type RemoveNetwork struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
}

// ConnectNIC gives a container one more NIC. Its address is the container's
// from then on; the node has yet to be told.
type ConnectNIC struct {
	ContainerID string    `json:"container_id"`
	NIC         model.NIC `json:"nic"`
	Time        time.Time `json:"time"`
}

// DisconnectNIC takes a container off a network. The address is free when the
// node has been told. If it held the default route, another NIC of the
// container does from then on.
type DisconnectNIC struct {
	ContainerID string    `json:"container_id"`
	NetworkID   string    `json:"network_id"`
	Time        time.Time `json:"time"`
}

// NICsTold says that the node knows these NICs of a container and has let those
// go that were leaving. It changes nothing if either is different by now.
type NICsTold struct {
	ContainerID string      `json:"container_id"`
	NICs        []model.NIC `json:"nics,omitempty"`
	Leaving     []model.NIC `json:"leaving,omitempty"`
}

// Number implements Command.
func (CreateNetwork) Number() Number { return NumberCreateNetwork }

// Number implements Command.
func (RemoveNetwork) Number() Number { return NumberRemoveNetwork }

// Number implements Command.
func (ConnectNIC) Number() Number { return NumberConnectNIC }

// Number implements Command.
func (DisconnectNIC) Number() Number { return NumberDisconnectNIC }

// Number implements Command.
func (NICsTold) Number() Number { return NumberNICsTold }
