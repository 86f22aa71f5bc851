package network

import (
	"net"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// veth describes a pair of connected interfaces to be made.
type veth struct {
	outer     string // name of the bridge's end
	master    int    // index of the bridge
	mtu       int
	inner     string // name of the container's end
	innerMAC  net.HardwareAddr
	namespace int // descriptor of the container's namespace
}

// create makes the pair by one message, so that there is no moment at which
// one of them exists half-made or in the wrong namespace. The outer end is up
// at once: it was never seen down as a port, so the bridge forwards from the
// start. It returns EEXIST if the outer name is taken.
func (v veth) create(s *nl.SocketHandle) error {
	req := &nl.NetlinkRequest{
		NlMsghdr: unix.NlMsghdr{
			Len:   unix.SizeofNlMsghdr,
			Type:  unix.RTM_NEWLINK,
			Flags: unix.NLM_F_REQUEST | unix.NLM_F_CREATE | unix.NLM_F_EXCL | unix.NLM_F_ACK,
		},
		Sockets: map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: s},
	}
	outer := nl.NewIfInfomsg(unix.AF_UNSPEC)
	outer.Flags, outer.Change = unix.IFF_UP, unix.IFF_UP
	req.AddData(outer)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.outer)))
	req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(v.master))))
	req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.mtu))))

	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.inner))
	peer.AddRtAttr(unix.IFLA_ADDRESS, v.innerMAC)
	peer.AddRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.mtu)))
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(v.namespace)))
	req.AddData(info)

	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}
