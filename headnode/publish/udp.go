package publish

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// flowIdle is how long a client is known after its last datagram, or its last
// answer.
const flowIdle = time.Minute

// maxDatagram is the most that one can hold, in bytes.
const maxDatagram = 64 << 10

// relay carries datagrams of one spot. Each client has a socket of its own
// towards the container, so that answers find their way back.
type relay struct {
	p    *Publisher
	conn *net.UDPConn
	to   netip.AddrPort
	own  slots

	mu    sync.Mutex
	flows map[netip.AddrPort]*net.UDPConn
}

// openUDP listens for datagrams and carries them to a container, and its
// answers back, until ctx ends or stop is called.
func (p *Publisher) openUDP(ctx context.Context, carrying *sync.WaitGroup, address string, to netip.AddrPort) (stop func(), err error) {
	var lc net.ListenConfig
	c, err := lc.ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	r := &relay{p: p, conn: c.(*net.UDPConn), to: to, own: make(slots, maxFlowsOfSpot), flows: map[netip.AddrPort]*net.UDPConn{}}
	unhook := context.AfterFunc(ctx, r.close)
	carrying.Go(func() {
		defer unhook()
		defer r.close()
		r.receive(ctx, carrying)
	})
	return r.close, nil
}

// close ends all flows. It may be called several times.
func (r *relay) close() {
	r.conn.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, flow := range r.flows {
		flow.Close()
	}
}

// receive carries what clients send. What there is no room for is lost, as
// datagrams may be.
func (r *relay) receive(ctx context.Context, carrying *sync.WaitGroup) {
	buffer := make([]byte, maxDatagram)
	for {
		n, client, err := r.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return // it was closed: nothing else breaks a socket that has no peer
		}
		flow := r.flow(ctx, carrying, client)
		if flow == nil {
			continue
		}
		// A refusal of an earlier datagram shows here; the next ones may find
		// the container listening.
		_, _ = flow.Write(buffer[:n])
		_ = flow.SetReadDeadline(time.Now().Add(flowIdle)) // a closed one has ended
	}
}

// flow is the socket of a client; nil if there are too many.
func (r *relay) flow(ctx context.Context, carrying *sync.WaitGroup, client netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if flow := r.flows[client]; flow != nil || ctx.Err() != nil {
		return flow
	}
	give, ok := takeBoth(r.own, r.p.flows)
	if !ok {
		return nil
	}
	flow, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(r.to))
	if err != nil {
		give()
		r.p.Logger.Debug("cannot reach a published port", slog.String("at", r.to.String()), slog.Any("err", err))
		return nil
	}
	r.flows[client] = flow
	carrying.Go(func() {
		defer give()
		r.answer(flow, client)
	})
	return flow
}

// answer carries what a container sends to a client back, until neither has
// sent anything for a while.
func (r *relay) answer(flow *net.UDPConn, client netip.AddrPort) {
	defer func() {
		r.mu.Lock()
		delete(r.flows, client)
		r.mu.Unlock()
		flow.Close()
	}()
	buffer := make([]byte, maxDatagram)
	_ = flow.SetReadDeadline(time.Now().Add(flowIdle)) // a closed one ends at once
	for {
		n, err := flow.Read(buffer)
		switch {
		case errors.Is(err, unix.ECONNREFUSED):
			continue // the container did not listen yet
		case err != nil:
			return
		}
		if _, err := r.conn.WriteToUDPAddrPort(buffer[:n], client); err != nil {
			return
		}
		_ = flow.SetReadDeadline(time.Now().Add(flowIdle)) // a closed one ends at once
	}
}
