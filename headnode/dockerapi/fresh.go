package dockerapi

// identify finds the account that asks, as of all that any head had answered
// to before the request: a key that was removed at another head opens nothing,
// and what the handler reads is not old. Without a quorum of heads only routes
// that say nothing of the replicated state are served.
func (s *server) identify(c *call, r *route) error {
	if s.Fresh != nil && (r == nil || !r.stateless) {
		if err := s.Fresh(c.ctx()); err != nil {
			return err
		}
	}
	account, err := s.Auth.Authenticate(c.r)
	c.account = account
	return err
}
