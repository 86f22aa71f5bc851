package adminapi

import (
	"net/http"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (s *server) networks(*http.Request) ([]model.Network, error) {
	return values(s.Store.View().Networks()), nil
}

func (s *server) putNetwork(r *http.Request) (model.Network, error) {
	n, err := decode[model.Network](r)
	if err != nil {
		return n, err
	}
	if n.ID == "" {
		n.ID = model.NewID()
		if known, ok := s.Store.View().NetworkOfAccount(n.AccountID, n.Name); ok {
			n.ID = known.ID
		}
	}
	n = ipam.Complete(n)
	if err := ipam.Validate(n); err != nil {
		return n, err
	}
	_, err = s.Store.Propose(r.Context(), command.PutNetwork{Network: n})
	return n, err
}

func (s *server) packages(*http.Request) ([]model.Package, error) {
	return values(s.Store.View().Packages()), nil
}

func (s *server) putPackage(r *http.Request) (none, error) {
	p, err := decode[model.Package](r)
	if err != nil {
		return none{}, err
	}
	if err := model.CheckContainerName(p.Name); err != nil {
		return none{}, model.Errorf(model.KindInvalid, "invalid package name %q: use letters, digits and _ . -, beginning with a letter or digit", p.Name)
	}
	if p.Memory < minPackageMemory {
		return none{}, model.Errorf(model.KindInvalid, "package %s has %d bytes of memory; at least %d are needed", p.Name, p.Memory, minPackageMemory)
	}
	if min(p.Swap, p.CPUCap, p.CPUShares, p.Disk, p.Pids) < 0 {
		return none{}, model.Errorf(model.KindInvalid, "package %s has a negative size", p.Name)
	}
	_, err = s.Store.Propose(r.Context(), command.PutPackage{Package: p})
	return none{}, err
}

// minPackageMemory is what Docker also takes for the least: 6 MiB.
const minPackageMemory = 6 << 20
