package images

// Debts are what is to be done to images when there is a chance.
type Debts struct {
	Copies  int      `json:"copies"`  // that images which accounts name lack on nodes
	Sweep   bool     `json:"sweep"`   // of images that nobody needs
	Compare []string `json:"compare"` // ids of nodes whose images are to be compared with the state
}

// Owed returns the debts of this moment. Only the leader has those of sweeps
// and comparisons.
func (s *Service) Owed() Debts {
	owed := Debts{Compare: []string{}}
	v := s.store.View()
	for _, img := range v.Images() {
		if lacks := s.holders - len(img.Holders); lacks > 0 && len(v.NamesOfImage(img.ID)) > 0 {
			owed.Copies += lacks
		}
	}
	s.debts.mu.Lock()
	defer s.debts.mu.Unlock()
	owed.Sweep = s.debts.sweep
	for id := range s.debts.nodes {
		owed.Compare = append(owed.Compare, id)
	}
	return owed
}
