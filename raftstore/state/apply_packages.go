package state

import (
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) putPackage(c command.PutPackage) error {
	p := c.Package
	if err := checkPackage(&p); err != nil {
		return err
	}
	old, replaces := t.Package(p.Name)
	if replaces && p.ID == "" {
		p.ID = old.ID
	}
	if n := t.Sized(p.Name); replaces && n > 0 && !old.SameSize(&p) {
		return model.Errorf(model.KindConflict,
			"%d containers have the package %s: its sizes cannot change; make another package, and deactivate this one", n, p.Name)
	}
	if p.Removed {
		return model.Errorf(model.KindInvalid, "package %s: a package is removed by a command of its own", p.Name)
	}
	for _, other := range t.Packages() {
		switch {
		case other.Name == p.Name:
		case other.ID == p.ID && p.ID != "":
			return model.Errorf(model.KindConflict, "the package %s has the id %s already", other.Name, p.ID)
		case other.Default && p.Default:
			plain := *other
			plain.Default = false
			if err := t.insert(tablePackages, &plain); err != nil {
				return err
			}
		}
	}
	return t.insert(tablePackages, &p)
}

// seeded is the setting that says that the first packages were made.
const seeded = "packages_seeded"

// PackagesSeeded reports whether the data center has been given the packages
// that it begins with.
func (v *View) PackagesSeeded() bool {
	_, ok := v.Setting(seeded)
	return ok
}

// seedPackages adds those packages whose names are free. The default one is
// that only if no other is.
func (t *transaction) seedPackages(c command.SeedPackages) error {
	if t.PackagesSeeded() {
		return nil
	}
	hasDefault := slices.ContainsFunc(t.Packages(), func(p *model.Package) bool { return p.Default })
	for _, p := range c.Packages {
		if _, taken := t.Package(p.Name); taken {
			continue
		}
		p.Default = p.Default && !hasDefault
		if err := t.putPackage(command.PutPackage{Package: p}); err != nil {
			return err
		}
	}
	return t.setSetting(command.SetSetting{Name: seeded, Value: "true"})
}

func checkPackage(p *model.Package) error {
	if err := checkKey("package name", p.Name); err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"memory", p.Memory}, {"swap", p.Swap}, {"cpu_cap", p.CPUCap}, {"cpu_shares", p.CPUShares}, {"disk", p.Disk},
		{"pids", p.Pids}, {"network_rate", p.NetworkRate},
	} {
		if f.value < 0 || f.value > maxResource {
			return model.Errorf(model.KindInvalid, "package %s: %s is out of range", p.Name, f.name)
		}
	}
	if p.IOWeight != 0 && (p.IOWeight < 10 || p.IOWeight > 1000) {
		return model.Errorf(model.KindInvalid, "package %s: io_weight is from 10 to 1000", p.Name)
	}
	return nil
}

func (t *transaction) removePackage(c command.RemovePackage) error {
	p, ok := t.Package(c.Name)
	if !ok {
		return model.Errorf(model.KindNotFound, "no package %q", c.Name)
	}
	if t.Sized(p.Name) == 0 {
		return t.delete(tablePackages, &p)
	}
	p.Removed, p.Active, p.Default = true, false, false
	return t.insert(tablePackages, &p)
}
