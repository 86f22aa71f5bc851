package images

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// link carries connections from the rack to a registry. It counts bytes, and can be broken
// in the ways that networks break.
type link struct {
	address string // HOST:PORT where the rack finds the registry
	target  string // HOST:PORT of the registry itself
	work    sync.WaitGroup

	mu       sync.Mutex // guards what follows
	listener net.Listener
	ends     map[net.Conn]bool
	sent     int64         // to the registry
	received int64         // from the registry
	rate     int64         // bytes a second from the registry; 0 is no limit
	allowed  int64         // bytes from the registry until it is cut, if cutting
	cutting  bool          // the connection that uses allowed up is cut, once
	stalled  chan struct{} // closed when bytes pass again; nil while they do
}

// newLink opens a link on a host's address that lasts as long as the test.
func newLink(t *testing.T, host, target string) *link {
	t.Helper()
	l := &link{address: net.JoinHostPort(host, "0"), target: target, ends: map[net.Conn]bool{}}
	if err := l.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.heal()
		l.close()
	})
	return l
}

// open lets connections in, at the address that the link has had from the first time on.
func (l *link) open() error {
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		return fmt.Errorf("cannot open the way to the registry: %w", err)
	}
	l.mu.Lock()
	l.listener, l.address = listener, listener.Addr().String()
	l.mu.Unlock()
	l.work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			l.work.Go(func() { l.join(client) })
		}
	})
	return nil
}

// close ends all connections and lets none in.
func (l *link) close() {
	l.mu.Lock()
	l.listener.Close()
	for end := range l.ends {
		end.Close()
	}
	l.mu.Unlock()
	l.work.Wait()
}

// join carries one connection until either side ends it.
func (l *link) join(client net.Conn) {
	registry, err := net.Dial("tcp", l.target)
	if err != nil {
		client.Close()
		return
	}
	l.mu.Lock()
	l.ends[client], l.ends[registry] = true, true
	l.mu.Unlock()
	done := func() {
		client.Close()
		registry.Close()
	}
	var both sync.WaitGroup
	both.Go(func() {
		defer done()
		carry(registry, client, l.passUp)
	})
	both.Go(func() {
		defer done()
		carry(client, registry, l.passDown)
	})
	both.Wait()
	l.mu.Lock()
	delete(l.ends, client)
	delete(l.ends, registry)
	l.mu.Unlock()
}

// carry copies while pass lets it.
func carry(to, from net.Conn, pass func(n int64) bool) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !pass(int64(n)) {
			return
		}
		if _, writing := to.Write(buffer[:n]); err != nil || writing != nil {
			return
		}
	}
}

func (l *link) passUp(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent += n
	return true
}

// passDown holds bytes back as the link is told to, and refuses them where it is cut.
func (l *link) passDown(n int64) bool {
	l.mu.Lock()
	stalled, rate := l.stalled, l.rate
	l.allowed -= n
	cut := l.cutting && l.allowed < 0
	if cut {
		l.cutting = false
	} else {
		l.received += n
	}
	l.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
	if rate > 0 {
		pace := time.NewTimer(time.Duration(n) * time.Second / time.Duration(rate))
		<-pace.C
	}
	return !cut
}

// throttle lets each connection bring so many bytes a second.
func (l *link) throttle(rate int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = rate
}

// cutAfter ends the connection that has brought so many more bytes; others, and later ones,
// are well.
func (l *link) cutAfter(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutting, l.allowed = true, n
}

// wasCut tells whether a connection was cut since cutAfter.
func (l *link) wasCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.cutting
}

// stall lets nothing come from the registry any more, while connections stay.
func (l *link) stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stalled == nil {
		l.stalled = make(chan struct{})
	}
}

// heal undoes throttle, cutAfter and stall.
func (l *link) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate, l.cutting = 0, false
	if l.stalled != nil {
		close(l.stalled)
		l.stalled = nil
	}
}

// brought is how many bytes came from the registry so far.
func (l *link) brought() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.received
}

// taken is how many bytes went to the registry so far.
func (l *link) taken() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

var errFewer = errors.New("fewer bytes came than that")

// awaitBrought waits until so many bytes came from the registry.
func (l *link) awaitBrought(ctx context.Context, n int64) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for l.brought() < n {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d: %w", l.brought(), n, errFewer)
		case <-ticker.C:
		}
	}
	return nil
}
