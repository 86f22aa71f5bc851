package metal

import (
	"fmt"
	"strings"
	"testing"
)

// switched makes what is at the other end of the trunk: the router of VLAN 7 with both kinds of
// addresses, and a stranger who has the same ones in VLAN 8.
const switched = `
ip netns add router && ip netns add stranger
ip link set switch netns router
ip -n router link set switch up
for vlan in 7 8; do ip -n router link add link switch name vlan$vlan type vlan id $vlan; done
ip -n router link set vlan8 netns stranger
for at in router:vlan7 stranger:vlan8; do
	ip -n ${at%:*} address add 10.77.0.1/24 dev ${at#*:}
	ip -n ${at%:*} address add fd77::1/64 dev ${at#*:} nodad
	ip -n ${at%:*} link set ${at#*:} up
done
`

// A container on a VLAN of a physical network, through heads and agent: frames with its tag reach
// it, by both kinds of addresses, and others do not.
func TestAContainerIsOnAVLANOfTheSwitch(t *testing.T) {
	s := tests.site(t)
	s.root(t, switched)
	t.Cleanup(func() {
		// The cable is whole again for a test after this one.
		if _, err := s.machine.Try(cleanContext(t), "ip -n router link set switch netns 1; ip netns del stranger; ip netns del router; spearhead network rm tagged7", nil); err != nil {
			t.Error(err)
		}
	})
	s.root(t, "spearhead network create tagged7 --nic-tag tagged --vlan 7 --subnet 10.77.0.0/24 --gateway 10.77.0.1 --first 10.77.0.10 --last 10.77.0.99 "+
		"--subnet6 fd77::/64 --gateway6 fd77::1 --first6 fd77::10 --last6 fd77::99")
	id := s.Run(t, "--network", "tagged7", "-p", "8080", s.Image, "sh", "-c", "mkdir -p /www && echo tagged > /www/page && exec httpd -f -p '[::]:8080' -h /www")
	const each = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{.Gateway}}{{end}}"
	addresses := strings.Fields(s.Inspect(t, id, each))
	if len(addresses) != 3 || !strings.HasPrefix(addresses[0], "10.77.0.") || !strings.HasPrefix(addresses[1], "fd77::") {
		t.Fatalf("its addresses are %q", addresses)
	}
	reach := func() {
		t.Helper()
		for _, host := range addresses[:2] {
			eventually(t, func() error {
				got, err := s.machine.Run(t.Context(), "ip netns exec router timeout 20 bash -c '"+
					`exec 3<>/dev/tcp/`+host+`/8080; printf "GET /page HTTP/1.0\r\n\r\n" >&3; cat <&3'`)
				if err == nil && !strings.HasSuffix(got, "tagged") {
					err = fmt.Errorf("at %s there is %q", host, got)
				}
				return err
			})
		}
	}
	reach()
	for _, ping := range []string{"ping", "ping6"} {
		to := map[string]string{"ping": "10.77.0.1", "ping6": "fd77::1"}[ping]
		if got := s.Docker(t, "exec", id, ping, "-c", "1", "-w", "60", to); !strings.Contains(got, "1 packets received") {
			t.Errorf("it does not reach the router's %s: %s", to, got)
		}
	}
	for _, host := range []string{addresses[0], addresses[1]} {
		if done, err := s.machine.Try(t.Context(), "ip netns exec stranger ping -c 2 -w 5 "+host, nil); err != nil || done.Code == 0 {
			t.Errorf("from another VLAN %s answers: %v, %+v", host, err, done)
		}
	}
	s.root(t, "systemctl restart spearhead-agent")
	s.works(t)
	reach()
	s.Docker(t, "restart", "-t", "0", id)
	reach()
}
