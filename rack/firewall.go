package rack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/internal/bootid"
)

// openWay lets the rack's hosts and containers speak to the world under this
// machine's address, and keeps containers away from the hosts' own network.
func (r *Rack) openWay() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("cannot open nftables: %w", err)
	}
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: r.firewallTable()}
	c.AddTable(table)
	c.DelTable(table) // all in one transaction: the old rules hold until the new ones do
	c.AddTable(table)
	post := c.AddChain(&nftables.Chain{
		Table: table, Name: "postrouting", Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	underlay, _ := r.underlay()
	external, _ := r.external()
	for _, from := range []netip.Prefix{underlay, external} {
		var e []expr.Any
		e = append(e, matchSource(from)...)
		e = append(e, matchLink(expr.MetaKeyOIFNAME, expr.CmpOpNeq, r.underlayBridge())...)
		e = append(e, matchLink(expr.MetaKeyOIFNAME, expr.CmpOpNeq, r.externalBridge())...)
		c.AddRule(&nftables.Rule{Table: table, Chain: post, Exprs: append(e, &expr.Masq{})})
	}
	forward := c.AddChain(&nftables.Chain{
		Table: table, Name: "forward", Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	e := matchLink(expr.MetaKeyIIFNAME, expr.CmpOpEq, r.externalBridge())
	e = append(e, matchLink(expr.MetaKeyOIFNAME, expr.CmpOpEq, r.underlayBridge())...)
	// Answers pass: heads carry what users send to published ports.
	c.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: append(slices.Clone(e), append(matchAnswers(), &expr.Verdict{Kind: expr.VerdictAccept})...)})
	c.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: append(e, &expr.Verdict{Kind: expr.VerdictDrop})})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("cannot set the rack's firewall: %w", err)
	}
	return enableForwarding()
}

func matchSource(p netip.Prefix) []expr.Any {
	mask := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), p.Bits()).Masked().Addr().As4()
	want := p.Addr().As4()
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask[:], Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: want[:]},
	}
}

func matchLink(key expr.MetaKey, op expr.CmpOp, name string) []expr.Any {
	data := make([]byte, unix.IFNAMSIZ)
	copy(data, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: data}}
}

// matchAnswers matches what belongs to a conversation that was let through.
func matchAnswers() []expr.Any {
	answers := binary.NativeEndian.AppendUint32(nil, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
	return []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: answers, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// closeWay takes the rack's rules away.
func (r *Rack) closeWay() error {
	return removeTables(func(t *nftables.Table) bool { return r.ownsTable(t.Name) })
}

const forwardingFile = "/proc/sys/net/ipv4/ip_forward"

// forwardingRecord remembers, for all racks together, that this machine did
// not forward packets before the first of them.
func forwardingRecord() string { return filepath.Join(racksDir, "ip_forward_was_off") }

func enableForwarding() error {
	now, err := os.ReadFile(forwardingFile)
	if err != nil {
		return fmt.Errorf("cannot read whether this machine forwards packets: %w", err)
	}
	if strings.TrimSpace(string(now)) != "0" {
		return nil
	}
	boot, err := bootid.Read()
	if err != nil {
		return err
	}
	if err := os.WriteFile(forwardingRecord(), []byte(boot), 0o600); err != nil {
		return fmt.Errorf("cannot record forwarding: %w", err)
	}
	if err := os.WriteFile(forwardingFile, []byte("1"), 0); err != nil {
		return fmt.Errorf("cannot let this machine forward packets: %w", err)
	}
	return nil
}

// restoreForwarding is for when the last rack goes. A record of a former boot
// says nothing about this one.
func restoreForwarding() error {
	boot, err := bootid.Read()
	if err != nil {
		return err
	}
	recorded, err := os.ReadFile(forwardingRecord())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && string(recorded) == boot {
		err = os.WriteFile(forwardingFile, []byte("0"), 0)
	}
	if err == nil {
		err = os.Remove(forwardingRecord())
	}
	if err != nil {
		return fmt.Errorf("cannot restore packet forwarding: %w", err)
	}
	return nil
}
