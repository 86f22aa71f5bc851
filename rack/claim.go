package rack

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
)

// claim says which rack has an index. It counts for one boot of the machine,
// also where /run is on a disk.
type claim struct {
	Dir  string `json:"dir"`
	Boot string `json:"boot"`
}

func claimPath(index int) string { return filepath.Join(racksDir, fmt.Sprintf("%d.claim", index)) }

// claims reads who has which index in this boot; under the shared lock, as
// all that concerns claims.
func claims() (map[int]string, error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	held := map[int]string{}
	for i := range maxRacks {
		var c claim
		err := atomicfile.ReadJSON(claimPath(i), &c)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil || c.Boot != boot {
			continue
		}
		// a rack is recorded before its claim and removed before it
		if _, err := os.Stat(filepath.Join(c.Dir, recordName)); err == nil {
			held[i] = c.Dir
		}
	}
	return held, nil
}

func writeClaim(index int, dir string) error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteJSON(claimPath(index), claim{dir, boot}, 0o600); err != nil {
		return fmt.Errorf("cannot claim addresses: %w", err)
	}
	return nil
}

// reclaim takes an existing rack's index again.
func reclaim(index int, dir string) error {
	held, err := claims()
	if err != nil {
		return err
	}
	if owner, ok := held[index]; ok && owner != dir {
		return model.Errorf(model.KindConflict, "the addresses of this rack are in use by the rack in %s: take that one down first", owner)
	}
	return writeClaim(index, dir)
}

// chooseIndex returns the lowest index that no rack has and whose subnets
// meet none of the machine's.
func chooseIndex(held map[int]string, taken []netip.Prefix) (int, error) {
	for i := range maxRacks {
		if _, ok := held[i]; ok {
			continue
		}
		l := layout{index: i}
		underlay, _ := l.underlay()
		external, _ := l.external()
		free := true
		for _, t := range taken {
			free = free && !t.Overlaps(underlay) && !t.Overlaps(external)
		}
		if free {
			return i, nil
		}
	}
	return 0, model.Errorf(model.KindExhausted, "no room for another rack: all of 10.93.0.0/20 and 10.94.0.0/16 is in use by racks or by this machine's routes")
}

// takenSubnets lists the subnets that this machine has routes or addresses
// for. Defaults, and what covers as much as half of all, do not count.
func takenSubnets() ([]netip.Prefix, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("cannot list routes: %w", err)
	}
	var taken []netip.Prefix
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		a, ok := netip.AddrFromSlice(r.Dst.IP.To4())
		bits, _ := r.Dst.Mask.Size()
		if ok && bits > 1 {
			taken = append(taken, netip.PrefixFrom(a, bits))
		}
	}
	return taken, nil
}

func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("cannot tell this boot from others: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}
