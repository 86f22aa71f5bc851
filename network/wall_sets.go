package network

import (
	"net/netip"

	"github.com/google/nftables"
)

// hasRanges tells whether a set holds more than single addresses.
func hasRanges(set map[netip.Prefix]bool) bool {
	for p := range set {
		if !p.IsSingleIP() {
			return true
		}
	}
	return false
}

// setElements are the elements of a set of addresses. Ranges in it must not
// overlap: prefixes that lie in others are left out. They are written as
// ranges if one of them is one, or if asked for.
func setElements(set map[netip.Prefix]bool, asRanges bool) (v4, v6 []nftables.SetElement) {
	ranges := asRanges || hasRanges(set)
	for p := range set {
		if ranges && covered(p, set) {
			continue
		}
		v4, v6 = byFamily(v4, v6, p.Addr(), p.Addr().AsSlice())
		if !ranges {
			continue
		}
		if after := afterLast(p); after.IsValid() {
			end := nftables.SetElement{Key: after.AsSlice(), IntervalEnd: true}
			if after.Is4() {
				v4 = append(v4, end)
			} else {
				v6 = append(v6, end)
			}
		}
	}
	return v4, v6
}

// covered tells whether a shorter prefix of the set holds p.
func covered(p netip.Prefix, set map[netip.Prefix]bool) bool {
	for bits := range p.Bits() {
		if set[netip.PrefixFrom(p.Addr(), bits).Masked()] {
			return true
		}
	}
	return false
}

// afterLast is the address behind a prefix, or none if it is the last one.
func afterLast(p netip.Prefix) netip.Addr {
	last := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(last)
	return a.Next()
}
