package network

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Of a limited NIC's queue: how long a burst may last at full rate, and how
// long a packet may wait at most.
const (
	burstTime   = 20  // milliseconds
	longestWait = 100 // milliseconds
	leastBurst  = 64 << 10
)

// limit holds a NIC to its rate: a token bucket (tc-tbf(8)) at each end of the
// veth, the outer one for what the container is sent and the inner one for
// what it sends.
func (s *segment) limit(inner *netlink.Handle, link netlink.Link, p port) error {
	if !p.Limited {
		return nil
	}
	outer, err := s.route.LinkByName(p.Outer)
	if err != nil {
		return fmt.Errorf("cannot find the outer end of interface %s: %w", p.Interface, err)
	}
	for _, end := range []struct {
		at   *netlink.Handle
		link netlink.Link
	}{{s.route, outer}, {inner, link}} {
		if err := setRate(end.at, end.link, p.Rate); err != nil {
			return fmt.Errorf("cannot limit interface %s: %w", p.Interface, err)
		}
	}
	return nil
}

// setRate sets what an interface may send, in bits a second; 0 is without
// limit.
func setRate(h *netlink.Handle, link netlink.Link, rate int64) error {
	attrs := netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
	if rate <= 0 {
		err := h.QdiscDel(&netlink.Tbf{QdiscAttrs: attrs})
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
			return nil // there was no limit
		}
		return err
	}
	bytes := uint64(rate) / 8
	burst := uint32(max(bytes*burstTime/1000, leastBurst))
	return h.QdiscReplace(&netlink.Tbf{
		QdiscAttrs: attrs, Rate: bytes, Buffer: netlink.Xmittime(bytes, burst),
		Limit: uint32(bytes*longestWait/1000) + burst,
	})
}
