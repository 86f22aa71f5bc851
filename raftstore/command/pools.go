package command

import "github.com/spearheadcloud/spearhead/model"

// The numbers of the commands about pools of networks.
const (
	NumberPutNetworkPool    Number = 86
	NumberRemoveNetworkPool Number = 87
)

// PutNetworkPool makes a pool of external networks with one NIC tag, or
// replaces the one with its id. It is KindConflict if a network of the data
// center or another pool has the name, and KindNotFound if a network is not
// there.
type PutNetworkPool struct {
	Pool model.NetworkPool `json:"pool"`
}

// RemoveNetworkPool removes a pool. Its networks and what is on them stay. One
// that is not there is KindNotFound.
type RemoveNetworkPool struct {
	ID string `json:"id"`
}

// Number implements Command.
func (PutNetworkPool) Number() Number { return NumberPutNetworkPool }

// Number implements Command.
func (RemoveNetworkPool) Number() Number { return NumberRemoveNetworkPool }
