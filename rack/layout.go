package rack

import (
	"fmt"
	"net/netip"
	"path/filepath"
)

// racksDir holds what all racks of this machine share: who claims which
// index, and a folder for each rack that need not survive a reboot.
const racksDir = "/run/spearhead/racks"

// maxRacks is how many racks find room in the addresses set aside for them:
// 10.93.0.0/24 and up for hosts, 10.94.0.0/20 and up for containers.
const maxRacks = 16

// maxHeads and maxNodes are how many hosts a rack has at most; all of them
// find room in its underlay.
const (
	maxHeads = 5
	maxNodes = 99
)

// role is what a host is.
type role string

const (
	roleHead role = "head"
	roleNode role = "node"
)

// host is one machine of a rack.
type host struct {
	name string
	role role
	addr netip.Addr // on the underlay
}

// layout gives everything of a rack its name and address. All of it follows
// from the rack's folder and index, so a crash cannot separate a thing from
// its name. Link names keep to the kernel's 15 characters.
type layout struct {
	dir   string
	index int
}

func (l layout) runDir() string { return filepath.Join(racksDir, fmt.Sprint(l.index)) }

// Links on this machine.
func (l layout) underlayBridge() string { return fmt.Sprintf("shu%d", l.index) }
func (l layout) externalBridge() string { return fmt.Sprintf("she%d", l.index) }

// underlayLink and externalLink are the outer ends of a host's two NICs.
func (l layout) underlayLink(h host) string { return l.underlayBridge() + shortName(h) }
func (l layout) externalLink(h host) string { return l.externalBridge() + shortName(h) }

// Names of a host's NICs in its own namespace.
const (
	underlayNIC = "eth0"
	externalNIC = "ext0"
)

// shortName turns node-12 into n12.
func shortName(h host) string { return h.name[:1] + h.name[len(h.role)+1:] }

func (l layout) firewallTable() string { return fmt.Sprintf("spearhead-rack-%d", l.index) }
func (l layout) cgroup() string        { return fmt.Sprintf("/spearhead-rack-%d", l.index) }

// nodeCgroup is above the containers of one node: an agent takes all that is
// below its own for its own.
func (l layout) nodeCgroup(h host) string { return l.cgroup() + "/" + h.name }

// underlay is the subnet of the hosts, and this machine's address in it.
func (l layout) underlay() (netip.Prefix, netip.Addr) {
	p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 93, byte(l.index), 0}), 24)
	return p, p.Addr().Next()
}

// external is the subnet of the containers, and this machine's address in it.
func (l layout) external() (netip.Prefix, netip.Addr) {
	p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 94, byte(l.index * 16), 0}), 20)
	return p, p.Addr().Next()
}

// hosts are the rack's machines: heads are 11 and up in the underlay, nodes
// 101 and up.
func (l layout) hosts(heads, nodes int) []host {
	subnet, _ := l.underlay()
	at := func(last int) netip.Addr {
		a := subnet.Addr().As4()
		a[3] = byte(last)
		return netip.AddrFrom4(a)
	}
	var all []host
	for i := range heads {
		all = append(all, host{fmt.Sprintf("head-%d", i+1), roleHead, at(11 + i)})
	}
	for i := range nodes {
		all = append(all, host{fmt.Sprintf("node-%d", i+1), roleNode, at(101 + i)})
	}
	return all
}

// Files of a host.
func (l layout) hostDir(h host) string  { return filepath.Join(l.dir, h.name) }
func (l layout) logFile(h host) string  { return filepath.Join(l.dir, "logs", h.name+".log") }
func (l layout) netPin(h host) string   { return filepath.Join(l.runDir(), h.name+".net") }
func (l layout) mountPin(h host) string { return filepath.Join(l.runDir(), h.name+".mnt") }
func (l layout) hostRun(h host) string  { return filepath.Join(l.runDir(), h.name) }
func (l layout) socket(h host) string   { return filepath.Join(l.runDir(), h.name, "operator.sock") }
func (l layout) stateDir(h host) string { return filepath.Join(l.hostDir(h), "state") }
func (l layout) identity(h host) string { return filepath.Join(l.hostDir(h), "pki") }
func (l layout) config(h host) string   { return filepath.Join(l.hostDir(h), string(h.daemon())+".toml") }
func (l layout) resolvConf() string     { return filepath.Join(l.runDir(), "resolv.conf") }
func (l layout) accountDir(login string) string {
	return filepath.Join(l.dir, "accounts", login)
}

// registryCerts is where all hosts look for the authorities of registries.
func (l layout) registryCerts() string { return filepath.Join(l.dir, certsName) }

const certsName = "certs.d"

// daemon is the spearhead command that a host runs.
func (h host) daemon() daemon {
	if h.role == roleHead {
		return "head"
	}
	return "agent"
}

type daemon string
