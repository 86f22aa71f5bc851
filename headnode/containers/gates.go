package containers

// Gate is a limit on what accounts have under way on this head at once, and
// how far it is used.
type Gate struct {
	UnderWay int `json:"under_way"` // of all accounts
	Accounts int `json:"accounts"`  // with something under way
	Limit    int `json:"limit"`     // of each account
}

// Gates returns the picture of this moment by the names of the limits.
func (s *Service) Gates() map[string]Gate {
	all := map[string]Gate{}
	for _, g := range []*gate{s.requests, s.streams, s.waits} {
		all[g.what] = g.use()
	}
	return all
}

func (g *gate) use() Gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	use := Gate{Accounts: len(g.count), Limit: g.limit}
	for _, n := range g.count {
		use.UnderWay += n
	}
	return use
}
