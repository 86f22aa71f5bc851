package rack

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/internal/bootid"
	"github.com/spearheadcloud/spearhead/model"
)

// claim says which rack has an index. It counts for one boot of the machine,
// also where /run is on a disk.
type claim struct {
	Dir  string `json:"dir"`
	Boot string `json:"boot"`
	// Rack is the rack's record, for a Down after its folder was lost.
	Rack record `json:"rack"`
}

func claimPath(index int) string { return filepath.Join(racksDir, fmt.Sprintf("%d.claim", index)) }

// readClaims reads the claims of this boot by their index.
func readClaims() (map[int]claim, error) {
	boot, err := bootid.Read()
	if err != nil {
		return nil, err
	}
	all := map[int]claim{}
	for i := range maxRacks {
		var c claim
		err := atomicfile.ReadJSON(claimPath(i), &c)
		if err == nil && c.Boot == boot {
			all[i] = c
		}
	}
	return all, nil
}

// claims tells who has which index in this boot; under the shared lock, as
// all that concerns claims. A rack is recorded before its claim and removed
// before it; one whose folder was lost has its run directory.
func claims() (map[int]string, error) {
	all, err := readClaims()
	if err != nil {
		return nil, err
	}
	held := map[int]string{}
	for i, c := range all {
		if isThere(filepath.Join(c.Dir, recordName)) || isThere(layout{index: i}.runDir()) {
			held[i] = c.Dir
		}
	}
	return held, nil
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (r *Rack) writeClaim() error {
	boot, err := bootid.Read()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteJSON(claimPath(r.index), claim{r.dir, boot, r.rec}, 0o600); err != nil {
		return fmt.Errorf("cannot claim addresses: %w", err)
	}
	return nil
}

// reclaim takes an existing rack's index again.
func (r *Rack) reclaim() error {
	held, err := claims()
	if err != nil {
		return err
	}
	if owner, ok := held[r.index]; ok && owner != r.dir {
		return model.Errorf(model.KindConflict, "the addresses of this rack are in use by the rack in %s: take that one down first", owner)
	}
	return r.writeClaim()
}

// Remains is Load for a Down: it also finds a rack whose folder was lost, by
// its claim.
func Remains(dir string) (*Rack, error) {
	r, err := Load(dir)
	if !model.IsKind(err, model.KindNotFound) {
		return r, err
	}
	all, claimErr := readClaims()
	if claimErr != nil {
		return nil, claimErr
	}
	dir, absErr := filepath.Abs(dir)
	if absErr != nil {
		return nil, fmt.Errorf("cannot find the rack: %w", absErr)
	}
	for i, c := range all {
		if c.Dir == dir {
			return &Rack{layout: layout{dir: dir, index: i}, rec: c.Rack}, nil
		}
	}
	return nil, err
}

// refuseRemains protects what a rack that was in the folder still has on this
// machine: a new one would not find it.
func refuseRemains(dir string) error {
	r, err := Remains(dir)
	switch {
	case model.IsKind(err, model.KindNotFound):
		return nil
	case err != nil:
		return err
	case isThere(r.runDir()):
		return model.Errorf(model.KindConflict, "the rack of %s still runs, but its folder is lost: remove the rest with spearhead dev down first", dir)
	}
	if err := os.Remove(claimPath(r.index)); err != nil {
		return fmt.Errorf("cannot clear a claim of a rack that is gone: %w", err)
	}
	return nil
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
