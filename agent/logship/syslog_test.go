package logship

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSyslogLayouts(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	server := catch(t, netns, "127.0.0.1:514", byLine)
	for format, want := range map[string][]string{
		"":             {"<30>Jan  2 03:04:05 t_1[1]: out", "<27>Jan  2 03:04:05 t_1[1]: err \xff"},
		"rfc3164":      {"<30>Jan  2 03:04:05 web-1 t_1[1]: out", "<27>Jan  2 03:04:05 web-1 t_1[1]: err \xff"},
		"rfc5424":      {"<30>1 2026-01-02T03:04:05Z web-1 t_1 1 t_1 - out", "<27>1 2026-01-02T03:04:05Z web-1 t_1 1 t_1 - err \xff"},
		"rfc5424micro": {"<30>1 2026-01-02T03:04:05.678901Z web-1 t_1 1 t_1 - out", "<27>1 2026-01-02T03:04:05.680901Z web-1 t_1 1 t_1 - err \xff"},
	} {
		l := newLogger(t)
		c := l.container(netns, "syslog", map[string]string{"syslog-address": "tcp://127.0.0.1", "syslog-format": format, "tag": "t {{len .ContainerArgs | printf \"%.1d\"}}"})
		c.Spec.Cmd = nil
		c.Spec.Cmd = []string{"-g"}
		s := newShipper(t)
		l.write(1, "out\n", "\n")
		l.write(2, "err \xff\n")
		before := len(server.all())
		begin(t, s, c)
		end(s, c)
		got := server.await(t, count(before+2))[before:]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
}

func TestSyslogAttributesAndFacility(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	server := catch(t, netns, "127.0.0.1:1514", byLine)
	l := newLogger(t)
	c := l.container(netns, "syslog", map[string]string{"syslog-address": "tcp://logs.example:1514", "syslog-format": "rfc5424", "syslog-facility": "local7", "env": "A", "labels-regex": "^com"})
	s := newShipper(t)
	begin(t, s, c)
	l.write(1, "text\n")
	want := []string{`<190>1 2026-01-02T03:04:05Z web-1 0123456789ab 1 0123456789ab [container@32473 A="1" com.x="\"\]"] text`}
	if diff := cmp.Diff(want, server.await(t, count(1))); diff != "" {
		t.Error(diff)
	}
}

func TestSyslogOverUDP(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	l := newLogger(t)
	c := l.container(netns, "syslog", map[string]string{"syslog-address": "udp://127.0.0.1", "syslog-format": "rfc5424", "syslog-facility": "3"})
	s := newShipper(t)
	l.write(1, "one\n", "two\n")
	begin(t, s, c)
	// Nobody listens yet: the kernel says so, and it is tried again.
	conn := inside(t, netns, func() (net.PacketConn, error) { return net.ListenPacket("udp", "127.0.0.1:514") })
	defer conn.Close()
	go end(s, c)
	var got []string
	for range 2 {
		b := make([]byte, 2000)
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(b[:n]))
	}
	head := "<30>1 2026-01-02T03:04:05Z web-1 0123456789ab 1 0123456789ab - "
	if diff := cmp.Diff([]string{head + "one", head + "two"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSyslogOverTLS(t *testing.T) {
	t.Parallel()
	netns := newNetns(t)
	authority, config := certificate(t, "logs.example")
	server := catch(t, netns, "127.0.0.1:514", func(c net.Conn, got func(string)) {
		r := bufio.NewReader(overTLS(c, config))
		for {
			var n int
			if _, err := fmt.Fscanf(r, "%d ", &n); err != nil {
				return
			}
			b := make([]byte, n)
			if _, err := io.ReadFull(r, b); err != nil {
				return
			}
			got(string(b))
		}
	})
	l := newLogger(t)
	for _, options := range []map[string]string{{"syslog-tls-ca-cert": authority}, {"syslog-tls-skip-verify": "1"}} {
		options["syslog-address"], options["syslog-format"] = "tcp+tls://logs.example", "rfc5424"
		c := l.container(netns, "syslog", options)
		s := newShipper(t)
		before := len(server.all())
		l.write(1, "secret\n")
		begin(t, s, c)
		end(s, c)
		if got := server.await(t, count(before+1))[before]; !strings.HasSuffix(got, " - secret") {
			t.Errorf("got %q", got)
		}
	}
	other, _ := certificate(t, "logs.example")
	c := l.container(netns, "syslog", map[string]string{"syslog-address": "tcp+tls://logs.example", "syslog-tls-ca-cert": other})
	s := newShipper(t)
	before := len(server.all())
	l.write(1, "not for strangers\n")
	begin(t, s, c)
	end(s, c)
	if got := server.all()[before:]; len(got) > 0 {
		t.Errorf("a server that nobody vouches for got %q", got)
	}
}
