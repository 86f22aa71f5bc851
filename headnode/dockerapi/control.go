package dockerapi

import "net/http"

func (s *server) pauseContainer(c *call) error {
	if err := s.Control.Pause(c.ctx(), c.account, c.vars["id"]); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

func (s *server) unpauseContainer(c *call) error {
	if err := s.Control.Unpause(c.ctx(), c.account, c.vars["id"]); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}
