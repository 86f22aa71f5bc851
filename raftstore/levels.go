package raftstore

import (
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// checkKnown refuses a command that a head of an older release would stop at:
// one head that is upgraded must not end the others.
func (s *Store) checkKnown(c command.Command) error {
	need := command.LevelOf(c)
	if need == 0 {
		return nil
	}
	v := s.View()
	if v.Level() >= need {
		return nil
	}
	for _, h := range v.Heads() {
		if h.LogLevel() < need {
			return model.Errorf(model.KindConflict,
				"this cannot be done before all heads are upgraded: head %s runs spearhead %s, which does not know it yet; upgrade it, or remove it", h.Name, h.Release())
		}
	}
	return nil
}
