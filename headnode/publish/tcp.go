package publish

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// dialLimit bounds how long a container may take to answer a connection.
const dialLimit = 10 * time.Second

// openTCP listens for connections and carries each to a container, until ctx
// ends or stop is called.
func (p *Publisher) openTCP(ctx context.Context, carrying *sync.WaitGroup, address string, to netip.AddrPort) (stop func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	unhook := context.AfterFunc(ctx, func() { l.Close() })
	own := make(slots, maxConnectionsOfSpot)
	carrying.Go(func() {
		defer unhook()
		for {
			from, err := l.Accept()
			if err != nil {
				if !pause(ctx, err) {
					return
				}
				continue
			}
			give, ok := takeBoth(own, p.connections)
			if !ok {
				from.Close()
				continue
			}
			carrying.Go(func() {
				defer give()
				p.carry(ctx, from.(*net.TCPConn), to)
			})
		}
	})
	return func() { l.Close() }, nil
}

// pause waits a little after an error of Accept that may pass, such as too many
// open files; it returns false if the listener was closed.
func pause(ctx context.Context, err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	t := time.NewTimer(100 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// carry passes bytes in both directions until both ends have said all, one
// breaks, or ctx ends. Each direction ends on its own.
func (p *Publisher) carry(ctx context.Context, from *net.TCPConn, to netip.AddrPort) {
	defer from.Close()
	d := net.Dialer{Timeout: dialLimit}
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		p.Logger.Debug("cannot reach a published port", slog.String("at", to.String()), slog.Any("err", err))
		return
	}
	target := conn.(*net.TCPConn)
	defer target.Close()
	both := func() {
		from.Close()
		target.Close()
	}
	defer context.AfterFunc(ctx, both)()
	var there sync.WaitGroup
	there.Go(func() { pass(target, from, both) })
	pass(from, target, both)
	there.Wait()
}

// pass copies one direction. Its orderly end is passed on; a broken one ends
// both.
func pass(to, from *net.TCPConn, both func()) {
	if _, err := io.Copy(to, from); err != nil {
		both()
		return
	}
	if err := to.CloseWrite(); err != nil {
		both()
	}
}
