package adminapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// PackageStatus is a package and who has it.
type PackageStatus struct {
	model.Package
	Containers int `json:"containers"`
	// OwnerLogins are the logins of Owners.
	OwnerLogins []string `json:"owner_logins,omitempty"`
}

// PackageRequest makes a package, or replaces the one of that name. Its owners
// are named by their logins.
type PackageRequest struct {
	Package model.Package `json:"package"`
	Owners  []string      `json:"owners,omitempty"`
}

// Bounds of packages: the least memory is what Docker also takes for it, 6 MiB,
// and rates are what the token buckets of the kernel can count, those of traffic
// control and of the firewall.
const (
	minPackageMemory = 6 << 20
	minPackageDisk   = 1 << 20
	minNetworkRate   = 8_000           // bits a second
	maxNetworkRate   = 100_000_000_000 // bits a second
	maxPackageText   = 64
)

func (s *server) packages(*http.Request) ([]PackageStatus, error) {
	v := s.Store.View()
	all := []PackageStatus{}
	for _, p := range v.Packages() {
		all = append(all, packageStatus(v, p))
	}
	return all, nil
}

func packageStatus(v *state.View, p *model.Package) PackageStatus {
	status := PackageStatus{Package: *p, Containers: v.Sized(p.Name)}
	for _, id := range p.Owners {
		if a, ok := v.Account(id); ok {
			status.OwnerLogins = append(status.OwnerLogins, a.Login)
		}
	}
	return status
}

func (s *server) putPackage(r *http.Request) (PackageStatus, error) {
	in, err := decode[PackageRequest](r)
	if err != nil {
		return PackageStatus{}, err
	}
	p := in.Package
	if err := checkNewPackage(&p); err != nil {
		return PackageStatus{}, err
	}
	v := s.Store.View()
	if p.Owners, err = s.ownerIDs(in.Owners); err != nil {
		return PackageStatus{}, err
	}
	p.ID = model.NewUUID()
	if known, ok := v.Package(p.Name); ok && known.ID != "" {
		p.ID = known.ID
	}
	return s.proposePackage(r, p)
}

// ownerIDs are the ids of the accounts with these logins.
func (s *server) ownerIDs(logins []string) ([]string, error) {
	var ids []string
	for _, login := range logins {
		a, ok := s.Store.View().AccountByLogin(login)
		if !ok {
			return nil, model.Errorf(model.KindNotFound, "no account %q", login)
		}
		ids = append(ids, a.ID)
	}
	return ids, nil
}

func (s *server) proposePackage(r *http.Request, p model.Package) (PackageStatus, error) {
	if _, err := s.Store.Propose(r.Context(), command.PutPackage{Package: p}); err != nil {
		return PackageStatus{}, err
	}
	return packageStatus(s.Store.View(), &p), nil
}

func checkNewPackage(p *model.Package) error {
	if err := model.CheckPackageName(p.Name); err != nil {
		return err
	}
	if p.Memory < minPackageMemory {
		return model.Errorf(model.KindInvalid, "package %s has %d bytes of memory; at least %d are needed", p.Name, p.Memory, minPackageMemory)
	}
	switch {
	case p.Disk > 0 && p.Disk < minPackageDisk:
		return model.Errorf(model.KindInvalid, "package %s has %d bytes of disk; at least %d are needed, or 0 for no quota", p.Name, p.Disk, minPackageDisk)
	case p.CPUShares > model.MaxCPUShares:
		return model.Errorf(model.KindInvalid, "package %s has %d CPU shares; the kernel takes at most %d", p.Name, p.CPUShares, model.MaxCPUShares)
	case p.NetworkRate > 0 && (p.NetworkRate < minNetworkRate || p.NetworkRate > maxNetworkRate):
		return model.Errorf(model.KindInvalid, "package %s has a network rate of %d bits a second; it is from %d to %d, or 0 for no limit",
			p.Name, p.NetworkRate, minNetworkRate, maxNetworkRate)
	}
	for name, text := range map[string]string{"family": p.Family, "version": p.Version} {
		if len(text) > maxPackageText || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return model.Errorf(model.KindInvalid, "package %s: the %s %.32q is not at most %d bytes that can be printed", p.Name, name, text, maxPackageText)
		}
	}
	for _, trait := range p.Traits {
		if err := model.CheckTrait(trait); err != nil {
			return err
		}
	}
	return nil
}

// changePackage offers a package, or stops offering it; containers keep it.
func (s *server) changePackage(r *http.Request) (PackageStatus, error) {
	in, err := decode[packageChange](r)
	if err != nil {
		return PackageStatus{}, err
	}
	p, ok := s.Store.View().Package(r.PathValue("name"))
	if !ok || p.Removed {
		return PackageStatus{}, model.Errorf(model.KindNotFound, "no package %q", r.PathValue("name"))
	}
	p.Active = in.Active
	return s.proposePackage(r, p)
}

type packageChange struct {
	Active bool `json:"active"`
}

func (s *server) removePackage(r *http.Request) (none, error) {
	_, err := s.Store.Propose(r.Context(), command.RemovePackage{Name: r.PathValue("name")})
	return none{}, err
}

// PutPackage creates a package, or replaces the one of that name. Sizes of one
// that containers have cannot change.
func (c *Client) PutPackage(ctx context.Context, r PackageRequest) (PackageStatus, error) {
	return ask[PackageStatus](ctx, c, http.MethodPut, "/v1/packages", r)
}

// Packages lists all packages.
func (c *Client) Packages(ctx context.Context) ([]PackageStatus, error) {
	return ask[[]PackageStatus](ctx, c, http.MethodGet, "/v1/packages", nil)
}

// ActivatePackage says whether new containers may have a package.
func (c *Client) ActivatePackage(ctx context.Context, name string, active bool) (PackageStatus, error) {
	return ask[PackageStatus](ctx, c, http.MethodPatch, "/v1/packages/"+url.PathEscape(name), packageChange{active})
}

// RemovePackage withdraws a package. Containers that have it keep it.
func (c *Client) RemovePackage(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/v1/packages/"+url.PathEscape(name), nil, nil)
}
