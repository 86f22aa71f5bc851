package containers

import (
	"cmp"
	"slices"

	"github.com/spearheadcloud/spearhead/model"
)

const (
	cpuPeriod   = 100_000 // microseconds, Docker's and the kernel's usual
	defaultPids = 1024
	// defaultShares are the kernel's, of a package that has none of its own.
	defaultShares = 1024
)

// choosePackage finds the package of a request: the one that it names, else
// the smallest that holds the memory, CPU and disk that it asks for, else the
// default one.
func choosePackage(packages []*model.Package, a model.Account, spec *model.ContainerSpec) (model.Package, error) {
	trusted := a.Policy == model.PolicyTrusted
	offered := offeredTo(packages, a.ID)
	for _, label := range []string{model.LabelPackage, model.LabelPackageTriton} {
		name := spec.Labels[label]
		if name == "" {
			continue
		}
		if model.CheckPackageName(name) != nil {
			return model.Package{}, model.Errorf(model.KindInvalid, "invalid value for %s: %.64q cannot name a package", label, name)
		}
		i := model.IndexPackage(offered, name)
		if i < 0 {
			return model.Package{}, model.Errorf(model.KindInvalid, "no package %q: see the operator's list of packages", name)
		}
		return *offered[i], exceeds(offered[i], spec.Limits, trusted)
	}
	if l := &spec.Limits; leastMemory(l) == 0 && l.CPU() == 0 && l.Disk == 0 {
		if i := slices.IndexFunc(offered, func(p *model.Package) bool { return p.Default }); i >= 0 {
			return *offered[i], exceeds(offered[i], spec.Limits, trusted)
		}
	}
	return smallestFor(offered, familyOf(packages), spec.Limits, trusted)
}

// offeredTo are the packages that new containers of an account may have.
func offeredTo(packages []*model.Package, accountID string) []*model.Package {
	return slices.DeleteFunc(slices.Clone(packages), func(p *model.Package) bool { return !p.OfferedTo(accountID) })
}

// familyOf is the family of the default package.
func familyOf(packages []*model.Package) string {
	for _, p := range packages {
		if p.Default {
			return p.Family
		}
	}
	return ""
}

// smallestFor prefers the family, then less memory, less CPU, less disk, the
// operator's rank, and the name, so that the choice is the same every time.
func smallestFor(offered []*model.Package, family string, l model.Limits, trusted bool) (model.Package, error) {
	var fit []*model.Package
	for _, p := range offered {
		if exceeds(p, l, trusted) == nil {
			fit = append(fit, p)
		}
	}
	if len(fit) == 0 {
		return model.Package{}, noneFits(offered, l, trusted)
	}
	other := func(p *model.Package) int {
		if p.Family == family {
			return 0
		}
		return 1
	}
	smallest := slices.MinFunc(fit, func(a, b *model.Package) int {
		return cmp.Or(cmp.Compare(other(a), other(b)), bySize(a, b))
	})
	return *smallest, nil
}

// noneFits says what is asked for that no package offers. Where some have the
// memory, CPU and disk, it is what the largest of these lacks.
func noneFits(offered []*model.Package, l model.Limits, trusted bool) error {
	if len(offered) == 0 {
		return model.Errorf(model.KindInvalid, "no package is offered to this account, so that its containers can have no size; ask the operator for one")
	}
	plain := model.Limits{Memory: leastMemory(&l), NanoCPUs: l.NanoCPUs, CPUPeriod: l.CPUPeriod, CPUQuota: l.CPUQuota, Disk: l.Disk}
	for _, p := range slices.Backward(slices.SortedFunc(slices.Values(offered), bySize)) {
		if exceeds(p, plain, trusted) == nil {
			return exceeds(p, l, trusted)
		}
	}
	return model.Errorf(model.KindInvalid,
		"no package supports the given container constraints: memory=%d bytes, cpus=%g, disk=%d bytes; ask for less, or ask the operator for a larger package",
		plain.Memory, float64(l.CPU())/1000, l.Disk)
}

// bySize orders packages by memory, CPU, disk, the operator's rank, and name.
func bySize(a, b *model.Package) int {
	return cmp.Or(cmp.Compare(a.Memory, b.Memory), cmp.Compare(cpuOrder(a), cpuOrder(b)),
		cmp.Compare(a.Disk, b.Disk), cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Name, b.Name))
}

// leastMemory is the memory that a package must have for what is asked: what is
// to be reserved must be there, too.
func leastMemory(l *model.Limits) int64 { return max(l.Memory, l.MemoryReservation) }

// cpuOrder puts packages without a cap after all others.
func cpuOrder(p *model.Package) int64 {
	if p.CPUCap == 0 {
		return 1 << 62
	}
	return p.CPUCap
}

// exceeds returns an error of KindInvalid that names what l asks beyond p. A
// trusted account may ask for any number of processes and any swap.
func exceeds(p *model.Package, l model.Limits, trusted bool) error {
	switch cpu, memory := l.CPU(), leastMemory(&l); {
	case memory > p.Memory:
		return model.Errorf(model.KindInvalid, "package %s has %d bytes of memory, less than the %d asked for: choose a larger package", p.Name, p.Memory, memory)
	case p.CPUCap > 0 && cpu > p.CPUCap:
		return model.Errorf(model.KindInvalid, "package %s has %g CPUs, less than the %g asked for: choose a larger package", p.Name, float64(p.CPUCap)/1000, float64(cpu)/1000)
	case p.Disk > 0 && l.Disk > p.Disk:
		return model.Errorf(model.KindInvalid, "package %s has %d bytes of disk, less than the %d asked for: choose a larger package", p.Name, p.Disk, l.Disk)
	case trusted:
		return nil
	case l.CPUShares > cmp.Or(p.CPUShares, defaultShares):
		return model.Errorf(model.KindInvalid, "package %s has %d CPU shares, fewer than the %d asked for: choose a larger package", p.Name, cmp.Or(p.CPUShares, defaultShares), l.CPUShares)
	case p.IOWeight > 0 && l.BlkioWeight > p.IOWeight:
		return model.Errorf(model.KindInvalid, "package %s has an I/O weight of %d, less than the %d asked for: choose another package", p.Name, p.IOWeight, l.BlkioWeight)
	case l.Pids > cmp.Or(p.Pids, defaultPids):
		return model.Errorf(model.KindInvalid, "package %s allows %d processes, fewer than the %d asked for: choose a larger package", p.Name, cmp.Or(p.Pids, defaultPids), l.Pids)
	case l.MemorySwap-cmp.Or(l.Memory, p.Memory) > p.Swap:
		return model.Errorf(model.KindInvalid, "package %s has %d bytes of swap beside memory, less than the %d asked for: choose a larger package", p.Name, p.Swap, l.MemorySwap-cmp.Or(l.Memory, p.Memory))
	}
	return nil
}

// applyPackage sets what the request left open and returns what the container
// takes of its node. Only a trusted account may go without a limit of
// processes or of swap; policy has refused the latter to others.
func applyPackage(l *model.Limits, p model.Package, trusted bool) model.Resources {
	l.Memory = cmp.Or(l.Memory, p.Memory)
	l.MemorySwap = cmp.Or(l.MemorySwap, l.Memory+p.Swap)
	if l.CPU() == 0 && p.CPUCap > 0 { // as by --cpus, which updates can then change
		l.NanoCPUs, l.CPUPeriod, l.CPUQuota = p.CPUCap*1_000_000, cpuPeriod, p.CPUCap*cpuPeriod/1000
	}
	l.CPUShares = cmp.Or(l.CPUShares, p.CPUShares)
	l.BlkioWeight = cmp.Or(l.BlkioWeight, p.IOWeight)
	l.Disk = cmp.Or(l.Disk, p.Disk)
	switch {
	case l.Pids < 0 && trusted:
		l.Pids = 0
	case l.Pids <= 0:
		l.Pids = cmp.Or(p.Pids, defaultPids)
	}
	return l.Needs(model.Resources{Disk: l.Disk})
}
