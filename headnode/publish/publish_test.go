package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// patience bounds waits of tests; nothing is measured by it.
const patience = 30 * time.Second

// center is a replicated state with a network on this machine's loopback, on
// which "containers" are this test's listeners.
type center struct {
	t *testing.T

	mu      sync.Mutex
	state   *state.State
	index   uint64
	changed chan struct{}
	journal uint64
}

func (c *center) View() *state.View { return c.state.View() }

func (c *center) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (c *center) apply(commands ...command.Command) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cmd := range commands {
		c.index++
		if _, err := c.state.Apply(c.index, command.Entry{Command: cmd}); err != nil {
			c.t.Fatalf("%T: %v", cmd, err)
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func newCenter(t *testing.T) *center {
	t.Helper()
	c := &center{t: t, state: state.New(), changed: make(chan struct{})}
	c.apply(
		command.CreateAccount{Account: model.Account{ID: "a", Login: "jill", Policy: model.PolicyTenant}},
		command.PutNode{Node: model.Node{ID: "n", Name: "n", Approved: true, Info: model.NodeInfo{Capacity: model.Resources{Memory: 1000, CPU: 1000, Disk: 1000}}}},
		command.PutNetwork{Network: model.Network{
			ID: "net", Name: "net", Kind: model.NetworkExternal, NICTag: "tag", Subnet: netip.MustParsePrefix("127.77.0.0/24"),
			First: netip.MustParseAddr("127.77.0.2"), Last: netip.MustParseAddr("127.77.0.254"),
		}},
	)
	return c
}

// run adds a container that runs, whose port is published by a number.
func (c *center) run(last byte, protocol string, port, number uint16) (id string) {
	c.t.Helper()
	id = fmt.Sprintf("%064x", last)
	made := model.Container{
		ID: id, Name: fmt.Sprint("container-", last), AccountID: "a", NodeID: "n",
		Spec: model.ContainerSpec{Ports: []model.Port{{Number: port, Protocol: protocol, Published: true, Endpoint: []model.EndpointPort{{First: number, Last: number, Number: number}}}}},
		NICs: []model.NIC{{NetworkID: "net", Interface: "eth0", Primary: true, Address: netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 77, 0, last}), 24)}},
	}
	c.apply(command.ReserveContainer{Container: made})
	c.say(id, "create", model.StatusCreated)
	c.say(id, "start", model.StatusRunning)
	return id
}

// say is what the node tells of a container.
func (c *center) say(id, action string, status model.Status) {
	c.t.Helper()
	c.journal++
	c.apply(command.CommitJournal{NodeID: "n", Epoch: "e", Entries: []model.JournalEntry{{
		Seq: c.journal, ContainerID: id, Action: action, Time: time.Unix(int64(c.journal), 0),
		State: &model.ContainerState{Status: status, StartedAt: time.Unix(int64(c.journal), 0)},
	}}})
}

// publisher runs one until the test ends.
func publisher(t *testing.T, c *center, machines ...netip.Prefix) *Publisher {
	t.Helper()
	return publisherAt(t, c, "127.0.0.1", machines...)
}

// publisherAt is publisher for a head with this address.
func publisherAt(t *testing.T, c *center, host string, machines ...netip.Prefix) *Publisher {
	t.Helper()
	p := New(Config{Store: c, Host: host, Logger: slog.New(slog.DiscardHandler), Machines: func(*state.View) []netip.Prefix {
		return machines
	}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return p
}

// caughtUp waits until all that the state says is published.
func caughtUp(t *testing.T, p *Publisher) {
	t.Helper()
	index := p.Store.View().Index()
	for ctx, cancel := context.WithTimeout(t.Context(), patience); ; {
		p.Published(ctx)
		p.mu.Lock()
		seen := p.seen
		p.mu.Unlock()
		if seen >= index || ctx.Err() != nil {
			cancel()
			return
		}
	}
}

// freePort is a number that nobody listens on at this moment.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

// echo is a container's service: it says its name, and then what it hears once
// the other side has said all.
func echo(t *testing.T, address, name string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				fmt.Fprintf(c, "%s\n", name)
				heard, err := io.ReadAll(c)
				if err == nil {
					_, _ = c.Write(heard)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

// ask says something to a number of this head and returns all that is said
// back.
func ask(t *testing.T, number uint16, text string) (string, error) {
	t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", number), patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	heard, err := io.ReadAll(c)
	return string(heard), err
}

func TestConnectionsReachWhoRuns(t *testing.T) {
	t.Parallel()
	c, number := newCenter(t), freePort(t)
	p := publisher(t, c)
	first := c.run(10, "tcp", echo(t, "127.77.0.10", "first"), number)
	caughtUp(t, p)
	if heard, err := ask(t, number, "hello"); err != nil || heard != "first\nhello" {
		t.Fatalf("%q, %v", heard, err)
	}
	// A second one that asks for the number gets nothing of it while the first
	// one runs, and all when that has ended.
	c.run(11, "tcp", echo(t, "127.77.0.11", "second"), number)
	caughtUp(t, p)
	if heard, err := ask(t, number, "hello"); err != nil || heard != "first\nhello" {
		t.Errorf("while both run: %q, %v", heard, err)
	}
	held, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", number))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := held.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(held, make([]byte, len("first\n"))); err != nil {
		t.Fatal(err)
	}
	c.say(first, "die", model.StatusExited)
	caughtUp(t, p)
	if n, err := held.Read(make([]byte, 1)); err == nil {
		t.Errorf("a connection outlives its container: %d bytes", n)
	} else if errors.Is(err, context.DeadlineExceeded) {
		t.Error("a connection of a container that ended hangs")
	}
	if heard, err := ask(t, number, "hello"); err != nil || heard != "second\nhello" {
		t.Errorf("after the first has ended: %q, %v", heard, err)
	}
}

// TestPortsArePublishedByIPv6Too, where the head has it, whatever family the
// containers' network is of.
func TestPortsArePublishedByIPv6Too(t *testing.T) {
	t.Parallel()
	probe, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("needs IPv6 on the loopback: ", err)
	}
	_, port, _ := net.SplitHostPort(probe.Addr().String())
	probe.Close()
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	c := newCenter(t)
	p := publisherAt(t, c, "::1")
	c.run(60, "tcp", echo(t, "127.77.0.60", "web"), uint16(number))
	caughtUp(t, p)
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("::1", port), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	heard := make([]byte, len("web\n"))
	if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != "web\n" {
		t.Errorf("%q, %v", heard, err)
	}
}

func TestNumbersAreFreeWhenNobodyRuns(t *testing.T) {
	t.Parallel()
	c, number := newCenter(t), freePort(t)
	p := publisher(t, c)
	id := c.run(20, "tcp", echo(t, "127.77.0.20", "web"), number)
	caughtUp(t, p)
	c.say(id, "die", model.StatusExited)
	caughtUp(t, p)
	if heard, err := ask(t, number, ""); err == nil {
		t.Errorf("a container that has ended is published: %q", heard)
	}
	of, _ := c.View().Container(id)
	if err := p.Check(&of); err != nil {
		t.Errorf("it could not start again: %v", err)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", number))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := p.Check(&of); !model.IsKind(err, model.KindConflict) || !strings.Contains(model.UserText(err), fmt.Sprintf("%d failed: port is already allocated", number)) {
		t.Errorf("another program has the number: %v", err)
	}
}

func TestNothingIsCarriedToMachines(t *testing.T) {
	t.Parallel()
	c, number := newCenter(t), freePort(t)
	p := publisher(t, c, netip.MustParsePrefix("127.77.0.30/32"))
	c.run(30, "tcp", echo(t, "127.77.0.30", "head"), number)
	caughtUp(t, p)
	if heard, err := ask(t, number, ""); err == nil {
		t.Errorf("a machine of the data center answers %q", heard)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	c, number := newCenter(t), freePort(t)
	p := New(Config{Store: c, Host: "127.0.0.1", Logger: slog.New(slog.DiscardHandler), Machines: func(*state.View) []netip.Prefix { return nil }})
	p.connections = make(slots, 1)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	defer running.Wait()
	defer stop()
	c.run(40, "tcp", echo(t, "127.77.0.40", "web"), number)
	caughtUp(t, p)
	first, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", number))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(first, make([]byte, len("web\n"))); err != nil {
		t.Fatal(err)
	}
	if heard, err := ask(t, number, ""); err == nil && heard != "" {
		t.Errorf("one more than may be carried is answered %q", heard)
	}
	first.Close()
	for deadline := time.Now().Add(patience); ; {
		heard, err := ask(t, number, "")
		if err == nil && heard == "web\n" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the first has gone: %q, %v", heard, err)
		}
	}
}

func TestDatagramsFindTheirWayBack(t *testing.T) {
	t.Parallel()
	c, number := newCenter(t), freePort(t)
	p := publisher(t, c)
	service, err := net.ListenPacket("udp", "127.77.0.50:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		buffer := make([]byte, maxDatagram)
		for {
			n, from, err := service.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = service.WriteTo(append([]byte("heard "), buffer[:n]...), from)
		}
	})
	defer serving.Wait()
	defer service.Close()
	c.run(50, "udp", netip.MustParseAddrPort(service.LocalAddr().String()).Port(), number)
	caughtUp(t, p)
	for client := range 3 {
		conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", number))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for i := range 3 {
			text := strings.Repeat(fmt.Sprint(client, i), 2000)
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, maxDatagram)
			if n, err := conn.Read(buffer); err != nil || string(buffer[:n]) != "heard "+text {
				t.Errorf("client %d hears %d bytes, %v", client, n, err)
			}
		}
	}
}
