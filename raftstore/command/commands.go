package command

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// CreateAccount adds an account. A login that exists is KindConflict; the same
// account again (same id and login) changes nothing.
type CreateAccount struct {
	Account model.Account `json:"account"`
}

// RemoveAccount removes an account and its image names. It is KindConflict
// while the account has containers or networks.
type RemoveAccount struct {
	ID string `json:"id"`
}

// AddKey gives an account one more key. A key or a key's name that the account
// has already is KindConflict, the very same key under the same name is not.
type AddKey struct {
	AccountID string    `json:"account_id"`
	Key       model.Key `json:"key"`
}

// RemoveKey takes the key with that fingerprint from an account.
type RemoveKey struct {
	AccountID string `json:"account_id"`
	SHA256    string `json:"sha256"`
}

// PutPackage adds or replaces a package. A new default replaces the old one.
type PutPackage struct {
	Package model.Package `json:"package"`
}

// PutNetwork adds or replaces a network. While containers have addresses on
// it, only what they do not depend on may change. A new default replaces the
// old one.
type PutNetwork struct {
	Network model.Network `json:"network"`
}

// PutNode adds or replaces a node. The stored place in its journal is kept,
// and so is the stored Info where Node.Info names no host.
type PutNode struct {
	Node model.Node `json:"node"`
}

// SetNodeInfo records what an agent says of its machine.
type SetNodeInfo struct {
	NodeID string         `json:"node_id"`
	Info   model.NodeInfo `json:"info"`
}

// RemoveNode removes a node that has no containers.
type RemoveNode struct {
	ID string `json:"id"`
}

// ReserveContainer promises a name, a node's resources and addresses to a
// container that is about to be created. A container of the account with the
// same Operation exists already: nothing changes (see
// state.View.ContainerByOperation). It is KindConflict if the name, an address
// or a MAC is taken or the node takes no containers, or if a container there
// would break one of the Rules of affinity (those that are wishes aside), and
// KindExhausted if the node has promised too much to others or the account has
// as much as it may.
//
// Mounts of volumes get the id of the account's volume of their name. Volumes
// has what to make of a name that the account does not have yet. Volumes that
// are on no node are from now on on the container's; it is KindConflict if one
// is on another.
type ReserveContainer struct {
	Container model.Container `json:"container"`
	Volumes   []model.Volume  `json:"volumes,omitempty"`
	Rules     []string        `json:"rules,omitempty"`
}

// ReleaseContainer undoes a reservation. A container that is not there is no
// error, one that exists on its node is KindConflict.
type ReleaseContainer struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// RenameContainer gives a container another name.
type RenameContainer struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Time time.Time `json:"time"`
}

// CommitJournal records what happened on a node. Entries that are known are
// skipped; a gap is KindConflict and nothing is recorded. An epoch other than
// the known one starts at 1.
type CommitJournal struct {
	NodeID  string               `json:"node_id"`
	Epoch   string               `json:"epoch"`
	Entries []model.JournalEntry `json:"entries"`
}

// Actions of PutImage.
const (
	ActionPull   = "pull"
	ActionPush   = "push"
	ActionTag    = "tag"
	ActionLoad   = "load"
	ActionImport = "import"
)

// PutImage records an image, adds Image.Holders to those known, and, unless
// Name.Ref is empty, lets an account's name point to it. Action becomes an
// event of the name's account. A name that is the image's id gives an account
// an image without a name, which is an event only if it is loaded or imported.
type PutImage struct {
	Image  model.Image     `json:"image"`
	Name   model.ImageName `json:"name"`
	Action string          `json:"action"`
	Time   time.Time       `json:"time"`
}

// RemoveImageName removes an account's name for an image.
type RemoveImageName struct {
	AccountID string    `json:"account_id"`
	Ref       string    `json:"ref"`
	Time      time.Time `json:"time"`
}

// DropImageHolder records that a node does not hold an image any more. An
// image without holders, names and containers is forgotten.
type DropImageHolder struct {
	ImageID string `json:"image_id"`
	NodeID  string `json:"node_id"`
}

// SetSetting sets a setting of the data center.
type SetSetting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// LoseContainer records that a container is not on its node any more, for a
// Reason that its owner reads. It is dead from then on; one that was running
// has ended at Time with a code that nobody knows, and one that was to be
// removed at its end is. A container that is not there or is dead changes
// nothing, a reserved one is KindConflict.
type LoseContainer struct {
	ID     string    `json:"id"`
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`
}

// ForgetContainer removes a dead container that its node does not have. A
// container that is not there is no error, one that is not dead is
// KindConflict.
type ForgetContainer struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
}

// RecordEvent adds an event of an account about which the state knows nothing
// else. Its Index and Order are given when it is applied.
type RecordEvent struct {
	Event model.Event `json:"event"`
}

// Number implements Command.
func (CreateAccount) Number() Number { return NumberCreateAccount }

// Number implements Command.
func (RemoveAccount) Number() Number { return NumberRemoveAccount }

// Number implements Command.
func (AddKey) Number() Number { return NumberAddKey }

// Number implements Command.
func (RemoveKey) Number() Number { return NumberRemoveKey }

// Number implements Command.
func (PutPackage) Number() Number { return NumberPutPackage }

// Number implements Command.
func (PutNetwork) Number() Number { return NumberPutNetwork }

// Number implements Command.
func (PutNode) Number() Number { return NumberPutNode }

// Number implements Command.
func (SetNodeInfo) Number() Number { return NumberSetNodeInfo }

// Number implements Command.
func (RemoveNode) Number() Number { return NumberRemoveNode }

// Number implements Command.
func (ReserveContainer) Number() Number { return NumberReserveContainer }

// Number implements Command.
func (ReleaseContainer) Number() Number { return NumberReleaseContainer }

// Number implements Command.
func (RenameContainer) Number() Number { return NumberRenameContainer }

// Number implements Command.
func (CommitJournal) Number() Number { return NumberCommitJournal }

// Number implements Command.
func (PutImage) Number() Number { return NumberPutImage }

// Number implements Command.
func (RemoveImageName) Number() Number { return NumberRemoveImageName }

// Number implements Command.
func (DropImageHolder) Number() Number { return NumberDropImageHolder }

// Number implements Command.
func (SetSetting) Number() Number { return NumberSetSetting }

// Number implements Command.
func (LoseContainer) Number() Number { return NumberLoseContainer }

// Number implements Command.
func (ForgetContainer) Number() Number { return NumberForgetContainer }

// Number implements Command.
func (RecordEvent) Number() Number { return NumberRecordEvent }
