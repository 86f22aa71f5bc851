package networks

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestAddressesAreThoseThatWereAskedFor, of both families and of the hardware,
// and hold for containers on another node.
func TestAddressesAreThoseThatWereAskedFor(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	own := unique(t)
	id := network(t, b, "--ipv6", "--subnet", "10.61.0.0/24", "--ip-range", "10.61.0.128/25", "--aux-address", "router=10.61.0.128",
		"--subnet", "fd61:1::/64", "--label", "of="+own, "--attachable", own)
	const mac = "02:42:0a:3d:00:c8"
	b.Run(t, "--name", own+"-asks", "--network", own, "--ip", "10.61.0.200", "--ip6", "fd61:1::c8", "--mac-address", mac,
		"-e", "affinity:node==node-1", b.Image, "sleep", "1000")
	b.Run(t, "--name", own+"-any", "--network", id[:12], "-e", "affinity:node==node-2", b.Image, "sleep", "1000") // by a piece of the id
	if got := strings.TrimSpace(b.Docker(t, "exec", own+"-asks", "cat", "/sys/class/net/eth0/address")); got != mac {
		t.Errorf("the container has the MAC %s", got)
	}
	addresses := b.Docker(t, "exec", own+"-asks", "ip", "address", "show", "dev", "eth0")
	for _, want := range []string{"10.61.0.200/24", "fd61:1::c8/64"} {
		if !strings.Contains(addresses, want) {
			t.Errorf("the container has not %s:\n%s", want, addresses)
		}
	}
	given := netip.MustParseAddr(b.AddressOf(t, own+"-any"))
	if !netip.MustParsePrefix("10.61.0.128/25").Contains(given) || given == netip.MustParseAddr("10.61.0.128") {
		t.Errorf("another container is given %s", given)
	}
	for _, ping := range [][]string{{"ping", "10.61.0.200"}, {"ping6", "fd61:1::c8"}, {"ping", own + "-asks"}} {
		bed.Eventually(t, func() error {
			if done := b.Try(t, "exec", own+"-any", ping[0], "-c", "1", "-W", "5", ping[1]); done.Code != 0 {
				return fmt.Errorf("%v from another node: %s%s", ping, done.Stdout, done.Stderr)
			}
			return nil
		})
	}
	if got := b.Docker(t, "network", "ls", "-q", "--no-trunc", "--filter", "label=of="+own); got != id {
		t.Errorf("by its label %q is found, want %s", got, id)
	}
	if got := b.Docker(t, "network", "inspect", "-f", `{{(index .IPAM.Config 0).AuxiliaryAddresses.router}} {{.EnableIPv6}} {{.Attachable}} {{(index .Containers "`+
		b.Inspect(t, own+"-asks", "{{.Id}}")+`").IPv6Address}}`, own); got != "10.61.0.128 true true fd61:1::c8/64" {
		t.Errorf("network inspect says %q", got)
	}
}

// TestPortsOfEverySort are reached at the container's own address: by other
// numbers and by udp, of a range, and all that the image exposes.
func TestPortsOfEverySort(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t)
	own := unique(t)
	serve(t, b, own, "-p", "15353:53/udp", "-p", "18100-18102:80", "-p", "18110:80", "--expose", "81", "-P")
	echoes(t, b, own)
	var ports []string
	bed.Eventually(t, func() error {
		if ports = published(t, b, own); len(ports) != 4 {
			return fmt.Errorf("docker port prints %v", ports)
		}
		return nil
	})
	host := netip.MustParseAddrPort(ports[0]).Addr()
	for _, port := range []uint16{15353, 18100, 18110, 81} {
		if want := netip.AddrPortFrom(host, port).String(); !strings.Contains(strings.Join(ports, " "), want) {
			t.Errorf("of %v none is %s", ports, want)
		}
	}
	for _, port := range []uint16{18100, 18110} {
		bed.Eventually(t, func() error {
			if text, err := page(t, netip.AddrPortFrom(host, port).String()); err != nil || text != own {
				return fmt.Errorf("port %d answers %q, %v", port, text, err)
			}
			return nil
		})
	}
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	bed.Eventually(t, func() error {
		if heard := asks(t, conn, netip.AddrPortFrom(host, 15353), "hello"); heard != "hello" {
			return fmt.Errorf("by udp %q is heard", heard)
		}
		return nil
	})
	if heard := asks(t, conn, netip.AddrPortFrom(host, 53), "hello"); heard != "" {
		t.Errorf("the port behind is open, too: %q", heard)
	}
	if text, err := page(t, netip.AddrPortFrom(host, 80).String()); err == nil {
		t.Errorf("the port behind is open, too: %q", text)
	}
}

// TestPackagesLimitNICs: what a container sends, and what it is sent, takes the
// time that its package's rate means.
func TestPackagesLimitNICs(t *testing.T) {
	t.Parallel()
	shared := setting.Shared(t)
	b := shared.Tenant(t, "net-rates")
	b.Docker(t, "pull", "-q", b.Image)
	shared.Operator(t, "package", "create", "slow-nics", "--memory", "64m", "--network-rate", "8m", "--owner", "net-rates")
	t.Cleanup(func() { shared.Operator(t, "package", "rm", "slow-nics") })
	own := unique(t)
	network(t, b, own)
	script := `mkdir -p /www && dd if=/dev/zero of=/www/file bs=1024 count=4096 2>/dev/null && exec httpd -f -p 80 -h /www`
	for name, label := range map[string]string{"slow": "spearhead.package=slow-nics", "fast": "none=none"} {
		b.Run(t, "--name", own+"-"+name, "--label", label, "--network", own, b.Image, "sh", "-c", script)
	}
	for from, to := range map[string]string{"slow": "fast", "fast": "slow"} {
		var took time.Duration
		bed.Eventually(t, func() error {
			begun := time.Now()
			done := b.Try(t, "exec", own+"-"+from, "wget", "-q", "-O", "/dev/null", "http://"+own+"-"+to+"/file")
			took = time.Since(begun)
			if done.Code != 0 {
				return fmt.Errorf("%s reads from %s: %s", from, to, done.Stderr)
			}
			return nil
		})
		if least := 3 * time.Second; took < least { // 4 MiB at 8 Mbit/s: 4.2 s without a burst
			t.Errorf("%s read 4 MiB from %s in %s, which is more than its rate", from, to, took)
		}
	}
}
