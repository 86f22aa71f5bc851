package nodes

import "time"

// Session is what this head has with a node, for operators.
type Session struct {
	Connected bool      `json:"connected"`
	Seen      time.Time `json:"seen"` // last sign of life; zero for none yet
	// Following says that this head, which leads, takes the node's journal.
	Following bool      `json:"following"`
	AtEnd     time.Time `json:"at_end,omitzero"` // when all of the journal was last committed
}

// Session returns the picture of this moment; the zero Session for a node that
// this head has not met.
func (s *Set) Session(nodeID string) Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[nodeID]
	if n == nil {
		return Session{}
	}
	return Session{Connected: n.answers && n.recorded(), Seen: n.seen, Following: !n.following.IsZero(), AtEnd: n.ended}
}
