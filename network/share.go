package network

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Connections out of fabrics are translated, and a translation takes a place
// in the machine's table of connections, which all fabrics share. So that
// nobody can take all places, each container gets a share of them and each
// account one. Both are counted by the kernel (nft_connlimit), which walks a
// list of those that are open at most once in each of its ticks; so the lists
// are kept short: there is one for each value of a few bits of the port that a
// connection comes from. Ports are spread evenly over them, as kernels choose
// them at random.
const (
	containerLists = 16 // of a container
	accountLists   = 64 // of an account: four containers' shares
)

// Shares of the table.
const (
	tableFile     = "/proc/sys/net/netfilter/nf_conntrack_max"
	tableSize     = 65536 // where the kernel has not loaded it yet
	shareOfTable  = 16    // a container's is one of so many
	sharesCounted = 1 << 16
)

// share is how many connections each list of a container or an account may
// have.
func (d *Driver) share() (uint32, error) {
	connections := d.cfg.Connections
	if connections == 0 {
		size, err := readTableSize()
		if err != nil {
			return 0, err
		}
		connections = size / shareOfTable
	}
	return uint32(max(connections/containerLists, 1)), nil
}

func readTableSize() (int, error) {
	text, err := os.ReadFile(tableFile)
	if errors.Is(err, os.ErrNotExist) {
		return tableSize, nil
	}
	size := 0
	if err == nil {
		size, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read how many connections this machine can have: %w", err)
	}
	return size, nil
}

// holdToShare drops what begins a connection of somebody whose list is full.
// match is which packets are meant; who loads the four bytes that tell parties
// apart into regFlow, by which they are counted together with bits of the port.
func holdToShare(c *nftables.Conn, chain *nftables.Chain, set *nftables.Set, lists int, share uint32, match, who []expr.Any) {
	addRule(c, chain, match, inState(expr.CtStateBitNEW), who, []expr.Any{
		&expr.Payload{DestRegister: regFlow + 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2},
		&expr.Bitwise{SourceRegister: regFlow + 1, DestRegister: regFlow + 1, Len: 2, Mask: []byte{byte(lists - 1), 0}, Xor: []byte{0, 0}},
		&expr.Dynset{
			SrcRegKey: regFlow, SetName: set.Name, SetID: set.ID, Operation: uint32(unix.NFT_DYNSET_OP_ADD),
			Exprs: []expr.Any{&expr.Connlimit{Count: share, Flags: expr.NFT_CONNLIMIT_F_INV}},
		},
	}, refuse)
}

// shareSet is a set of lists of connections.
func shareSet(t *nftables.Table, id uint32, name string, who nftables.SetDatatype) *nftables.Set {
	return &nftables.Set{
		Table: t, ID: id, Name: name, KeyType: nftables.MustConcatSetType(who, nftables.TypeInetService), Concatenation: true,
		Dynamic: true, Size: sharesCounted,
	}
}

// fromAddress loads a packet's source address.
func fromAddress() []expr.Any {
	match, offset, length := source.isFamily(false)
	return append(match, &expr.Payload{DestRegister: regFlow, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length})
}

// ownerOf loads whose fabric a packet is from, by the address that it has on
// its way out.
func ownerOf(owners *nftables.Set) []expr.Any {
	return append(fromAddress(), &expr.Lookup{SourceRegister: regFlow, DestRegister: regFlow, IsDestRegSet: true, SetName: owners.Name, SetID: owners.ID})
}

// owners are the accounts, as numbers, of all fabrics here that have a way
// out, by the addresses that their packets have on it. The caller holds d.mu.
func (d *Driver) owners() (map[netip.Addr]uint32, error) {
	ways, err := d.usedWays()
	if err != nil {
		return nil, err
	}
	all := map[netip.Addr]uint32{}
	for _, f := range ways {
		a, owner := f.owner()
		all[a] = owner
	}
	return all, nil
}

// owner is the address that a fabric's packets have on their way out, and whose
// it is, as a number.
func (f *fabricRecord) owner() (netip.Addr, uint32) {
	_, inside := wayPair(f.Way)
	sum := sha256.Sum256([]byte(cmp.Or(f.Account, f.Network)))
	return inside.Addr(), binary.NativeEndian.Uint32(sum[:])
}

// changeOwners makes of what the kernel has what it should have.
func changeOwners(c *nftables.Conn, set *nftables.Set, has, want map[netip.Addr]uint32) error {
	var gone, come []nftables.SetElement
	for a, owner := range has {
		if now, stays := want[a]; !stays || now != owner {
			gone = append(gone, nftables.SetElement{Key: a.AsSlice()})
		}
	}
	for a, owner := range want {
		if before, known := has[a]; !known || before != owner {
			come = append(come, ownerElement(a, owner))
		}
	}
	if len(gone) > 0 { // without any the kernel would remove all
		if err := c.SetDeleteElements(set, gone); err != nil {
			return err
		}
	}
	if len(come) == 0 {
		return nil
	}
	return c.SetAddElements(set, come)
}

func ownerElements(owners map[netip.Addr]uint32) (elements []nftables.SetElement) {
	for a, owner := range owners {
		elements = append(elements, ownerElement(a, owner))
	}
	return elements
}

func ownerElement(a netip.Addr, owner uint32) nftables.SetElement {
	return nftables.SetElement{Key: a.AsSlice(), Val: native32(owner)}
}
