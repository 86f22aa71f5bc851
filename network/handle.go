package network

import (
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// pinNew makes a network namespace, pins it to path, applies sysctls to it
// and opens a route handle in it.
func pinNew(path string, sysctls map[string]string) (*netlink.Handle, error) {
	var h *netlink.Handle
	err := namespace.PinNew(path, func() (err error) {
		for name, value := range sysctls {
			if err := namespace.SetSysctl(name, value); err != nil {
				return err
			}
		}
		h, err = openHere()
		return err
	})
	if err != nil {
		if h != nil {
			h.Close()
		}
		return nil, err
	}
	return h, nil
}

// openPinned opens a route handle in the namespace pinned to path.
func openPinned(path string) (*netlink.Handle, error) {
	ns, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open network namespace: %w", err)
	}
	defer ns.Close()
	return openAt(ns)
}

// openAt opens a route handle in a namespace.
func openAt(ns *os.File) (h *netlink.Handle, err error) {
	err = namespace.Enter(ns, func() (err error) {
		h, err = openHere()
		return err
	})
	return h, err
}

// openHere opens a route handle in the calling thread's namespace.
func openHere() (*netlink.Handle, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot open netlink: %w", err)
	}
	return h, nil
}
