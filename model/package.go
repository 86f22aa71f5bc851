package model

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Labels by which a container names its package; the second is what Triton's
// users write. The first wins.
const (
	LabelPackage       = "spearhead.package"
	LabelPackageTriton = "com.joyent.package"
)

// Package is a size of container that the operator offers.
type Package struct {
	// ID is a UUID, by which a package can be named too. One that was made
	// before packages had ids has none.
	ID        string `json:"id,omitempty"`
	Name      string `json:"name"`
	Memory    int64  `json:"memory"`            // bytes
	Swap      int64  `json:"swap,omitempty"`    // bytes beside memory
	CPUCap    int64  `json:"cpu_cap,omitempty"` // thousandths of a core; 0 is without cap
	CPUShares int64  `json:"cpu_shares,omitempty"`
	Disk      int64  `json:"disk,omitempty"` // bytes; 0 is without quota
	Pids      int64  `json:"pids,omitempty"`
	IOWeight  uint16 `json:"io_weight,omitempty"` // 10–1000; 0 is the kernel's usual
	// NetworkRate is the most that each NIC sends, and that it is sent, in bits
	// a second; 0 is without limit.
	NetworkRate int64 `json:"network_rate,omitempty"`
	Active      bool  `json:"active"`
	Default     bool  `json:"default,omitempty"` // for containers that ask for no size

	// Family groups packages of one kind. A size that is asked for in numbers
	// is chosen among those of the default package's family, and among all
	// others only if none of these holds it.
	Family string `json:"family,omitempty"`
	// Rank decides between packages of one size: the lower is chosen.
	Rank int `json:"rank,omitempty"`
	// Version is the operator's own number of what the package is made of.
	Version string `json:"version,omitempty"`
	// Owners are the ids of the accounts that may have it; none is everybody.
	Owners []string `json:"owners,omitempty"`
	// Traits must be the node's, too.
	Traits []string `json:"traits,omitempty"`
	// Removed packages are kept, for no new container, until the last one that
	// has it is gone.
	Removed bool `json:"removed,omitempty"`
}

// SameSize reports whether p and o give a container the same.
func (p *Package) SameSize(o *Package) bool {
	return p.Memory == o.Memory && p.Swap == o.Swap && p.CPUCap == o.CPUCap && p.CPUShares == o.CPUShares &&
		p.Disk == o.Disk && p.Pids == o.Pids && p.IOWeight == o.IOWeight && p.NetworkRate == o.NetworkRate
}

// OfferedTo reports whether new containers of an account may have p.
func (p *Package) OfferedTo(accountID string) bool {
	return p.Active && !p.Removed && (len(p.Owners) == 0 || slices.Contains(p.Owners, accountID))
}

// ShortID is the first eight digits of the package's id, "" without one.
func (p *Package) ShortID() string {
	if len(p.ID) < shortUUID {
		return ""
	}
	return p.ID[:shortUUID]
}

const shortUUID = 8

// IndexPackage finds a package by its id, by its name, or by the first eight
// digits of its id, in this order. It returns -1 if there is none.
func IndexPackage(packages []*Package, ref string) int {
	lower := strings.ToLower(ref)
	for _, is := range []func(*Package) bool{
		func(p *Package) bool { return p.ID != "" && p.ID == lower },
		func(p *Package) bool { return p.Name == ref },
		func(p *Package) bool { return p.ID != "" && p.ShortID() == lower },
	} {
		if i := slices.IndexFunc(packages, is); i >= 0 {
			return i
		}
	}
	return -1
}

// MaxCPUShares is the largest weight of a container's processor time that the
// kernel takes (cpu.shares of control groups).
const MaxCPUShares = 262144

var packageRule = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9_.-]+)?[a-zA-Z0-9]$`)

// CheckPackageName returns an error of KindInvalid if name cannot name a
// package: it begins and ends with a letter or digit and never has two of _ -
// and . in a row.
func CheckPackageName(name string) error {
	if len(name) <= 64 && packageRule.MatchString(name) {
		last := false
		doubled := strings.ContainsFunc(name, func(r rune) bool {
			mark := strings.ContainsRune("_-.", r)
			both := mark && last
			last = mark
			return both
		})
		if !doubled {
			return nil
		}
	}
	return Errorf(KindInvalid, "invalid package name %q: use 2 to 64 letters, digits and single _ - or . between them", clip(name))
}

var traitRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.=:-]{0,62}$`)

// CheckTrait returns an error of KindInvalid if text cannot be a trait of a
// node.
func CheckTrait(text string) error {
	if !traitRule.MatchString(text) {
		return Errorf(KindInvalid, "invalid trait %q: use a letter or digit, then up to 62 letters, digits, or any of _ . = : -", clip(text))
	}
	return nil
}

// NewUUID returns a random UUID (RFC 9562, version 4).
func NewUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
