package logship

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxFile bounds what is read of a file that a container may have written.
const maxFile = 64 << 10

// resolve returns the addresses of a host as its container would find them: in
// its hosts file, and then through its own resolvers.
func (d *door) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	if found := d.inHosts(host); len(found) > 0 {
		return found, nil
	}
	found, err := d.ask(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("cannot find the address of %s: %w", host, err)
	}
	return found, nil
}

func (d *door) inHosts(host string) (found []netip.Addr) {
	f, err := os.Open(d.hosts)
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(io.LimitReader(f, maxFile)); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 || !slices.ContainsFunc(fields[1:], func(name string) bool { return strings.EqualFold(name, host) }) {
			continue
		}
		if ip, err := netip.ParseAddr(fields[0]); err == nil {
			found = append(found, ip)
		}
	}
	return found
}

// ask asks the container's resolvers, one after the other, for each of the
// names that the host's may be short for.
func (d *door) ask(ctx context.Context, host string) ([]netip.Addr, error) {
	f, err := os.Open(d.resolvConf)
	if err != nil {
		return nil, errors.New("the container has no resolvers")
	}
	defer f.Close()
	conf, err := dns.ClientConfigFromReader(io.LimitReader(f, maxFile))
	if err != nil || len(conf.Servers) == 0 {
		return nil, errors.New("the container has no resolvers")
	}
	var failed error
	for _, name := range conf.NameList(host) {
		for _, server := range conf.Servers[:min(len(conf.Servers), 3)] {
			found, err := d.query(ctx, server, name)
			if len(found) > 0 {
				return found, nil
			}
			if err == nil {
				break // there is no such name
			}
			failed = err
		}
	}
	if failed == nil {
		failed = errors.New("there is no such name")
	}
	return nil, failed
}

// queryTime is how long one resolver has for one question.
const queryTime = 3 * time.Second

// query asks one server for the addresses of a name. No address and no error is
// that it has none.
func (d *door) query(ctx context.Context, server, name string) (found []netip.Addr, err error) {
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		q := new(dns.Msg).SetQuestion(name, kind)
		answer, err := d.exchange(ctx, "udp", server, q)
		if err == nil && answer.Truncated {
			answer, err = d.exchange(ctx, "tcp", server, q)
		}
		if err != nil {
			return found, err
		}
		if answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
			return found, fmt.Errorf("resolver answers %s", dns.RcodeToString[answer.Rcode])
		}
		for _, record := range answer.Answer {
			switch record := record.(type) {
			case *dns.A:
				found = appendIP(found, record.A)
			case *dns.AAAA:
				found = appendIP(found, record.AAAA)
			}
		}
	}
	return found, nil
}

func appendIP(to []netip.Addr, ip []byte) []netip.Addr {
	if a, ok := netip.AddrFromSlice(ip); ok {
		to = append(to, a.Unmap())
	}
	return to
}

func (d *door) exchange(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
	ip, err := netip.ParseAddr(server)
	if err != nil {
		return nil, fmt.Errorf("resolver %s is no address", strconv.Quote(server))
	}
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	conn, err := d.dial(ctx, network, netip.AddrPortFrom(ip, 53))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	client := &dns.Client{Net: network, Timeout: queryTime}
	answer, _, err := client.ExchangeWithConnContext(ctx, q, &dns.Conn{Conn: conn})
	return answer, err
}
