package command

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// The numbers of the commands by which machines join, and of what operators
// change of them.
const (
	NumberPutToken      Number = 35
	NumberRemoveToken   Number = 36
	NumberUseToken      Number = 37
	NumberChangeNode    Number = 38
	NumberSetKeyring    Number = 39
	NumberMoveContainer Number = 40
	NumberSettleMove    Number = 41
	NumberFindContainer Number = 42
)

// PutToken adds a token, and drops those that are of no use any more at
// Created. A token of the same id is KindConflict.
type PutToken struct {
	Token model.Token `json:"token"`
}

// RemoveToken takes a token back; KindNotFound if there is none.
type RemoveToken struct {
	ID string `json:"id"`
}

// UseToken lets the machine whose public key hashes to Key join under the
// token with that id and hash of a secret. A node's token needs Node, which is
// added, approved if the token says so; a head's has none. The token is then
// that machine's: the same key again changes nothing, another one is
// KindForbidden, as a wrong secret and an expired token are.
type UseToken struct {
	ID      string      `json:"id"`
	Hash    string      `json:"hash"`
	Key     string      `json:"key"`
	Machine string      `json:"machine"` // the id that it gets
	Node    *model.Node `json:"node,omitempty"`
	Time    time.Time   `json:"time"`
}

// ChangeNode is an operator's change of a node.
type ChangeNode struct {
	ID     string           `json:"id"`
	Change model.NodeChange `json:"change"`
}

// SetKeyring replaces the keys of the gossip ring, if they are at Version
// still (KindConflict if not); the version then grows by one. The first key
// encrypts what is sent, every one of them opens what comes.
type SetKeyring struct {
	Version int      `json:"version"`
	Keys    [][]byte `json:"keys"`
}

// MoveContainer gives a container whose owner asked for it to another node,
// because From is gone: it is KindConflict unless the container is on From, and
// Generation follows the one that it has. What it reserved there is free, and
// reserved on To. Until SettleMove it is on its way.
type MoveContainer struct {
	ID         string          `json:"id"`
	From       string          `json:"from"`
	To         string          `json:"to"`
	Generation int             `json:"generation"`
	Reserved   model.Resources `json:"reserved"`
	Time       time.Time       `json:"time"`
}

// SettleMove ends a container's way to the node of that generation. It changes
// nothing if the container is not on that way.
type SettleMove struct {
	ID         string `json:"id"`
	Generation int    `json:"generation"`
}

// FindContainer takes back that a container was lost: its node has it, in
// State. It changes nothing for a container that is not dead there.
type FindContainer struct {
	ID     string               `json:"id"`
	NodeID string               `json:"node_id"`
	State  model.ContainerState `json:"state"`
}

// Number implements Command.
func (PutToken) Number() Number { return NumberPutToken }

// Number implements Command.
func (RemoveToken) Number() Number { return NumberRemoveToken }

// Number implements Command.
func (UseToken) Number() Number { return NumberUseToken }

// Number implements Command.
func (ChangeNode) Number() Number { return NumberChangeNode }

// Number implements Command.
func (SetKeyring) Number() Number { return NumberSetKeyring }

// Number implements Command.
func (MoveContainer) Number() Number { return NumberMoveContainer }

// Number implements Command.
func (SettleMove) Number() Number { return NumberSettleMove }

// Number implements Command.
func (FindContainer) Number() Number { return NumberFindContainer }
