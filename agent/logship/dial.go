package logship

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/network/namespace"
)

// hostNetwork is the Netns of a container that has the node's network.
const hostNetwork = "host"

// A door opens connections from inside a container's network.
type door struct {
	netns             *os.File // nil: the node's own network
	hosts, resolvConf string
}

// openDoor holds the namespace, so that its path may come to mean another one.
func openDoor(c Container) (door, error) {
	d := door{hosts: c.Hosts, resolvConf: c.ResolvConf}
	if c.Netns == hostNetwork {
		return d, nil
	}
	var err error
	if d.netns, err = os.Open(c.Netns); err != nil {
		return d, fmt.Errorf("cannot open the container's network: %w", err)
	}
	return d, nil
}

func (d *door) close() {
	if d.netns != nil {
		d.netns.Close()
	}
}

// dial connects to an address, with network "tcp" or "udp". The socket is made
// in the namespace by a thread that lives no longer than that; waiting needs none.
func (d *door) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	conn, err := d.connect(ctx, network, to)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", to, err)
	}
	return conn, nil
}

func (d *door) connect(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	family, address := sockaddr(to)
	kind := unix.SOCK_STREAM
	if network == "udp" {
		kind = unix.SOCK_DGRAM
	}
	fd, err := d.socket(family, kind)
	if err != nil {
		return nil, err
	}
	if network == "tcp" {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // it works without, too
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(patience.Milliseconds()))
	}
	begun := unix.Connect(fd, address)
	file := os.NewFile(uintptr(fd), "log server")
	defer file.Close() // net.FileConn has its own
	if begun == unix.EINPROGRESS {
		begun = awaitConnect(ctx, file)
	}
	if begun != nil {
		return nil, begun
	}
	return net.FileConn(file)
}

func (d *door) socket(family, kind int) (fd int, err error) {
	open := func() (err error) {
		fd, err = unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return err
	}
	if d.netns == nil {
		err = open()
	} else {
		err = namespace.Enter(d.netns, open)
	}
	return fd, err
}

// awaitConnect waits until a socket is connected, or cannot be.
func awaitConnect(ctx context.Context, socket *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = socket.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	conn, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Write(func(fd uintptr) bool {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, err := unix.Poll(ready, 0); n == 0 || err == unix.EINTR {
			return false
		}
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if failed = err; err == nil && code != 0 {
			failed = unix.Errno(code)
		}
		return true
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, failed)
}

func sockaddr(a netip.AddrPort) (family int, address unix.Sockaddr) {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16()}
}
