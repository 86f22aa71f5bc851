package logship

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/spearheadcloud/spearhead/model"
)

func syslogOptions(address string) map[string]string {
	return map[string]string{"syslog-address": "tcp://" + address, "syslog-format": "rfc5424"}
}

// text cuts the head off a message.
func text(line string) string {
	_, rest, _ := strings.Cut(line, " - ")
	return rest
}

// checkAll checks that every line has arrived, in order but for what was sent
// again.
func checkAll(t testing.TB, lines []string, to int) (again int) {
	t.Helper()
	next := 1
	for _, line := range lines {
		var n int
		if _, err := fmt.Sscanf(text(line), "line %d", &n); err != nil {
			t.Fatalf("line %q", line)
		}
		switch {
		case n == next:
			next++
		case n < next:
			again++
		default:
			t.Fatalf("line %d comes where %d is due", n, next)
		}
	}
	if next != to+1 {
		t.Fatalf("%d lines of %d have come", next-1, to)
	}
	return again
}

func TestConnectionsThatBreakLoseNothing(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	server := catch(t, netns, "127.0.0.1:514", byLine)
	l := newLogger(t)
	c := l.container(netns, "syslog", syslogOptions("127.0.0.1"))
	s := newShipper(t)
	begin(t, s, c)
	const rounds, each = 20, 50
	for i := range rounds {
		l.write(1, numbered(i*each+1, (i+1)*each)...)
		// What the other machine has taken counts as sent, so it is let arrive.
		server.await(t, func(lines []string) bool { return hasLine(lines, i*each+each) })
		if i%3 == 0 {
			server.cut()
		}
		if i%4 == 0 {
			l.rotate()
		}
	}
	end(s, c)
	checkAll(t, server.all(), rounds*each)
}

func hasLine(lines []string, n int) bool {
	return len(lines) > 0 && text(lines[len(lines)-1]) == fmt.Sprintf("line %d", n)
}

// While the server is away lines wait in the log, also across rotation.
func TestServerThatComesLate(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	l := newLogger(t)
	c := l.container(netns, "syslog", syslogOptions("127.0.0.1:601"))
	s := newShipper(t)
	begin(t, s, c)
	for i := range 10 {
		l.write(1, numbered(i*100+1, (i+1)*100)...)
		l.rotate()
	}
	server := catch(t, netns, "127.0.0.1:601", byLine)
	lines := server.await(t, count(1000))
	if again := checkAll(t, lines, 1000); again > 0 {
		t.Errorf("%d lines came twice", again)
	}
}

// A shipper that was stopped, and one that was killed between two saves, are
// followed by one that goes on.
func TestNextShipperGoesOn(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	server := catch(t, netns, "127.0.0.1:514", byLine)
	l := newLogger(t)
	c := l.container(netns, "syslog", syslogOptions("127.0.0.1"))
	for i := range 10 {
		s := newShipper(t)
		begin(t, s, c)
		l.write(1, numbered(i*10+1, (i+1)*10)...)
		server.await(t, count(i*10+10))
		s.Close()
	}
	if again := checkAll(t, server.all(), 100); again > 0 {
		t.Errorf("%d lines came twice", again)
	}
}

const killedVariable = "LOGSHIP_TEST_CONTAINER"

// TestMain lets the test program be a shipper that can be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killedVariable); dir != "" {
		beKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

func beKilled(dir string) {
	c := Container{ID: model.NewID(), Name: "web", LogDir: dir, Netns: os.Getenv(killedVariable + "_NETNS"), Spec: &model.ContainerSpec{Hostname: "web-1",
		Log: model.LogConfig{Driver: "syslog", Options: syslogOptions("127.0.0.1")}}}
	if err := New(Config{}).Begin(c); err != nil {
		panic(err)
	}
	select {}
}

func TestKilledShipperLosesNothing(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	server := catch(t, netns, "127.0.0.1:514", byLine)
	l := newLogger(t)
	const rounds, each = 8, 2000
	for i := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killedVariable+"="+l.dir, killedVariable+"_NETNS="+netns)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before := len(server.all())
		l.write(1, numbered(i*each+1, (i+1)*each)...)
		if i%3 == 2 {
			l.rotate()
		}
		server.await(t, count(before+1+rand.IntN(each)))
		cmd.Process.Kill()
		cmd.Wait()
	}
	s := newShipper(t)
	c := l.container(netns, "syslog", syslogOptions("127.0.0.1"))
	begin(t, s, c)
	end(s, c)
	lines := server.await(t, func(lines []string) bool { return hasLine(lines, rounds*each) })
	t.Logf("%d of %d lines were sent again", checkAll(t, lines, rounds*each), rounds*each)
}

// What rotation drops before it could be sent is counted.
func TestLossIsTold(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	l := newLogger(t)
	l.keep = 1
	c := l.container(netns, "syslog", syslogOptions("127.0.0.1"))
	s := newShipper(t)
	l.write(1, "gone\n")
	l.rotate()
	gone := l.end
	l.write(1, "kept\n")
	l.rotate()
	l.write(1, "new\n")
	begin(t, s, c)
	server := catch(t, netns, "127.0.0.1:514", byLine)
	lines := server.await(t, count(3))
	want := []string{string(lostText(gone)), "kept", "new"}
	for i, line := range lines {
		if text(line) != want[i] {
			t.Errorf("line %d is %q, want %q", i, line, want[i])
		}
	}
	if !strings.HasPrefix(lines[0], "<27>") {
		t.Errorf("loss is no error: %q", lines[0])
	}
}

// End does not wait for a server that is not there, and not long for one that
// takes nothing.
func TestEndIsBounded(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	l := newLogger(t)
	c := l.container(netns, "syslog", syslogOptions("127.0.0.1"))
	s := newShipper(t)
	l.write(1, "text\n")
	begin(t, s, c)
	end(s, c) // refused: returns at once, without Linger's time, or the test takes too long
	stuck := inside(t, netns, func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:514") })
	defer stuck.Close()
	for range 2000 {
		l.write(1, strings.Repeat("x", maxPiece-1)+"\n")
	}
	begin(t, s, c)
	conn, err := stuck.Accept() // and nothing is read
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	s.End(ctx, c.ID)
}

// Names are resolved by the container's own resolvers, with its search list.
func TestNamesAreTheContainers(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	pc := inside(t, netns, func() (net.PacketConn, error) { return net.ListenPacket("udp", "127.0.0.1:53") })
	resolver := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		if name := q.Question[0]; name.Name != "logs.corp.example." {
			answer.Rcode = dns.RcodeNameError
		} else if name.Qtype == dns.TypeA {
			rr, _ := dns.NewRR("logs.corp.example. 60 IN A 127.0.0.9")
			answer.Answer = append(answer.Answer, rr)
		}
		w.WriteMsg(answer)
	})}
	served := make(chan struct{})
	go func() { defer close(served); resolver.ActivateAndServe() }()
	defer func() { pc.Close(); <-served }()
	server := catch(t, netns, "127.0.0.9:514", byLine)
	l := newLogger(t)
	s := newShipper(t)
	c := l.container(netns, "syslog", syslogOptions("logs"))
	l.write(1, "found\n")
	begin(t, s, c)
	if lines := server.await(t, count(1)); text(lines[0]) != "found" {
		t.Errorf("got %q", lines)
	}
	d, err := openDoor(c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if found, err := d.resolve(context.Background(), "nowhere.example"); err == nil || !strings.Contains(err.Error(), "there is no such name") {
		t.Errorf("%v, %v", found, err)
	}
}

// The container's network is used, never the node's.
func TestNodeIsNotReached(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	onNode, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer onNode.Close()
	l := newLogger(t)
	s := newShipper(t)
	c := l.container(netns, "syslog", syslogOptions(onNode.Addr().String()))
	l.write(1, "text\n")
	begin(t, s, c)
	end(s, c)
	onNode.(*net.TCPListener).SetDeadline(time.Now())
	if conn, err := onNode.Accept(); err == nil {
		conn.Close()
		t.Error("a container's log came to a server on the node's own address")
	}
	c.Netns = filepath.Join(t.TempDir(), "gone")
	if err := s.Begin(c); err == nil {
		t.Error("a container without a network is no error")
	}
}

func TestLocalDriversAreNotSent(t *testing.T) {
	t.Parallel()
	s := newShipper(t)
	l := newLogger(t)
	for _, driver := range []string{"", "json-file", "local", "none"} {
		begin(t, s, l.container("", driver, nil))
	}
	if len(s.runs) > 0 {
		t.Errorf("%d logs are sent", len(s.runs))
	}
	if err := s.Begin(l.container("", "syslog", nil)); err == nil {
		t.Error("a server without an address is no error")
	}
	details, err := Details(l.container("", "json-file", map[string]string{"env": "A", "tag": "{{.Name}}"}))
	if err != nil || len(details) != 2 || details["A"] != "1" || details["tag"] != "web" {
		t.Errorf("details %v, %v", details, err)
	}
}
