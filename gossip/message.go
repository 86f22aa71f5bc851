package gossip

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/memberlist"

	"github.com/spearheadcloud/spearhead/model"
)

// What machines tell each other is JSON. Unknown fields are passed over, so
// that a newer machine can say more.

// metadata goes with every mention of a member, so it has to be small: at most
// memberlist.MetaMaxSize (512) bytes.
type metadata struct {
	Role Role   `json:"r"`
	Name string `json:"n"`
	Wire string `json:"w,omitempty"`
}

// NodeState is what a machine says of its load.
type NodeState struct {
	ID   string         `json:"id"`
	Load model.NodeLoad `json:"load"`
}

const (
	maxID = 128
	// maxStates bounds the machines that this one remembers.
	maxStates = 20_000
	// maxMessage bounds a message from one machine about its load, which has to
	// fit into a datagram.
	maxMessage = 1200
)

func encodeMeta(m metadata) []byte { return encode(m) }

func decodeMeta(data []byte) (metadata, error) {
	var m metadata
	if len(data) > memberlist.MetaMaxSize {
		return m, fmt.Errorf("role, name and address take %d bytes, more than %d; use a shorter name", len(data), memberlist.MetaMaxSize)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("cannot read a member's metadata: %w", err)
	}
	if m.Role != RoleHead && m.Role != RoleNode {
		return m, fmt.Errorf("a member has the unknown role %q", m.Role)
	}
	return m, nil
}

func decodeState(data []byte) (NodeState, error) {
	var s NodeState
	if len(data) > maxMessage {
		return s, fmt.Errorf("a load takes %d bytes, more than %d", len(data), maxMessage)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("cannot read a load: %w", err)
	}
	return s, s.check()
}

func (s NodeState) check() error {
	if s.ID == "" || len(s.ID) > maxID || s.Load.Sequence == 0 {
		return errors.New("a load has no machine or no sequence")
	}
	return nil
}

// decodeStates reads the states of a push/pull, one after the other.
func decodeStates(data []byte) ([]NodeState, error) {
	var states []NodeState
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		var s NodeState
		err := d.Decode(&s)
		if errors.Is(err, io.EOF) {
			return states, nil
		}
		if err != nil {
			return states, fmt.Errorf("cannot read loads: %w", err)
		}
		if err := s.check(); err != nil {
			return states, err
		}
		if len(states) == maxStates {
			return states, fmt.Errorf("there are more than %d loads", maxStates)
		}
		states = append(states, s)
	}
}

// encode is for structs whose fields always have a form in JSON.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return data
}
