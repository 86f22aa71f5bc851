package state

import (
	"crypto/subtle"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

const (
	// maxTokens bounds the tokens that are kept.
	maxTokens = 1000
	// tokenMemory is how long a token is remembered after it expired, so that
	// a late use is told apart from a wrong one, and a machine that waits for
	// its approval can go on asking.
	tokenMemory = 30 * 24 * time.Hour
	// maxDeparted bounds the nodes whose certificates are refused; the
	// oldest are forgotten first, whose certificates have long expired.
	maxDeparted = 4096
)

func (t *transaction) putToken(c command.PutToken) error {
	token := c.Token
	if err := checkKey("token id", token.ID); err != nil {
		return err
	}
	if token.Role != model.RoleHead && token.Role != model.RoleNode || token.Hash == "" || token.Machine != "" {
		return model.Errorf(model.KindInvalid, "a token lacks its role or secret, or was used before it was made")
	}
	if _, there := t.Token(token.ID); there {
		return model.Errorf(model.KindConflict, "a token with the id %s exists already", token.ID)
	}
	tokens := t.Tokens()
	left := len(tokens)
	for _, old := range tokens {
		if old.Expires.Add(tokenMemory).Before(token.Created) {
			if err := t.delete(tableTokens, old); err != nil {
				return err
			}
			left--
		}
	}
	if left >= maxTokens {
		return model.Errorf(model.KindExhausted, "there are %d tokens already; remove some with: spearhead token rm", left)
	}
	return t.insert(tableTokens, &token)
}

func (t *transaction) removeToken(c command.RemoveToken) error {
	token, ok := t.Token(c.ID)
	if !ok {
		return model.Errorf(model.KindNotFound, "there is no token %s", c.ID)
	}
	return t.delete(tableTokens, &token)
}

// The refusals of a token. Who does not know its secret learns nothing but the
// first.
var (
	errTokenWrong   = model.Errorf(model.KindForbidden, "the token is wrong: it was mistyped, or taken back; make another with: spearhead token create")
	errTokenUsed    = model.Errorf(model.KindForbidden, "the token was used by another machine: each lets one in; make another with: spearhead token create")
	errTokenExpired = model.Errorf(model.KindForbidden, "the token has expired; make another with: spearhead token create")
)

func (t *transaction) useToken(c command.UseToken) error {
	token, _ := t.Token(c.ID)
	if subtle.ConstantTimeCompare([]byte(token.Hash), []byte(c.Hash)) != 1 || c.Key == "" {
		return errTokenWrong
	}
	if (c.Node != nil) != (token.Role == model.RoleNode) {
		return model.Errorf(model.KindForbidden, "the token is for a %s; make one of the other sort with: spearhead token create --role", token.Role)
	}
	switch {
	case token.Machine != "" && token.Key == c.Key:
		return nil
	case token.Machine != "":
		return errTokenUsed
	case c.Time.After(token.Expires):
		return errTokenExpired
	}
	if err := checkKey("machine id", c.Machine); err != nil {
		return err
	}
	if c.Node != nil {
		if err := t.addPending(c, token.Approve); err != nil {
			return err
		}
	}
	token.Machine, token.Key = c.Machine, c.Key
	return t.insert(tableTokens, &token)
}

// addPending adds a node that joins. The name of a node that waits for its
// approval goes over to the newcomer: its machine was set up anew. That of an
// approved one is not given away, whoever has a token.
func (t *transaction) addPending(c command.UseToken, approve bool) error {
	n := *c.Node
	n.ID, n.Approved, n.Joined = c.Machine, approve, c.Time
	if old, ok := t.NodeByName(n.Name); ok {
		if old.Approved {
			return model.Errorf(model.KindConflict, "there is a node %s already: give this machine another name, or have an operator remove that one with: spearhead node remove %s", n.Name, n.Name)
		}
		if err := t.removeNode(command.RemoveNode{ID: old.ID}); err != nil {
			return err
		}
	}
	return t.putNode(command.PutNode{Node: n})
}

func (t *transaction) changeNode(c command.ChangeNode) error {
	n, err := t.node(c.ID)
	if err != nil {
		return err
	}
	change := c.Change
	set(&n.Address, change.Address)
	set(&n.Approved, change.Approved)
	set(&n.Cordoned, change.Cordoned)
	set(&n.Lost, change.Lost)
	set(&n.Reservoir, change.Reservoir)
	set(&n.Rack, change.Rack)
	set(&n.Zone, change.Zone)
	set(&n.MaxContainers, change.MaxContainers)
	set(&n.Overcommit, change.Overcommit)
	set(&n.Traits, change.Traits)
	set(&n.Owners, change.Owners)
	labels := map[string]string{}
	for name, value := range n.Labels {
		labels[name] = value
	}
	for name, value := range change.SetLabels {
		labels[name] = value
	}
	for _, name := range change.DropLabels {
		delete(labels, name)
	}
	n.Labels = labels
	return t.putNode(command.PutNode{Node: n})
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// departed is a node that was removed: its certificate may be valid still.
type departed struct {
	ID    string `json:"id"`
	Index uint64 `json:"index"` // of the entry that removed it
}

// depart notes that a node is no member any more.
func (t *transaction) depart(id string) error {
	rows := list[departed](t.txn, tableDeparted)
	if len(rows) >= maxDeparted {
		oldest := rows[0]
		for _, row := range rows {
			if row.Index < oldest.Index {
				oldest = row
			}
		}
		if err := t.delete(tableDeparted, oldest); err != nil {
			return err
		}
	}
	return t.insert(tableDeparted, &departed{ID: id, Index: t.index})
}

// Sizes of what a ring's keys may be.
const (
	maxRingKeys = 4
	ringKeySize = 32
)

func (t *transaction) setKeyring(c command.SetKeyring) error {
	now := t.Keyring()
	if now.Version != c.Version {
		return model.Errorf(model.KindConflict, "the gossip keys are being changed by somebody else; look again")
	}
	if len(c.Keys) == 0 || len(c.Keys) > maxRingKeys {
		return model.Errorf(model.KindInvalid, "a gossip ring has one to %d keys", maxRingKeys)
	}
	for _, k := range c.Keys {
		if len(k) != ringKeySize {
			return model.Errorf(model.KindInvalid, "a gossip key has %d bytes", ringKeySize)
		}
	}
	return t.insert(tableKeyring, &model.Keyring{Version: c.Version + 1, Keys: c.Keys})
}
