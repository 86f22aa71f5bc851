package dockerapi

// identify finds the account that asks. A stranger may be one that this head
// has not heard of yet.
func (s *server) identify(c *call) error {
	account, err := s.Auth.Authenticate(c.r)
	if err != nil && s.Fresh != nil {
		if stale := s.Fresh(c.ctx()); stale != nil {
			return stale
		}
		account, err = s.Auth.Authenticate(c.r)
	}
	c.account = account
	return err
}

// refresh makes sure that a handler which reads the replicated state reads all
// that any head had answered to before the request.
func (s *server) refresh(c *call, r *route) error {
	if s.Fresh == nil || r.open || r.stateless {
		return nil
	}
	return s.Fresh(c.ctx())
}
