package fwrule

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
)

var addresses = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestRulesAreReadAsWritten(t *testing.T) {
	t.Parallel()
	www, eight, zero := "www", uint8(8), uint8(0)
	for text, want := range map[string]Rule{
		"FROM any TO tag role = www ALLOW tcp (PORT 80 AND PORT 443)": {
			From: []Target{{Kind: Any}}, To: []Target{{Kind: Tag, Name: "role", Value: &www}}, Allow: true, Protocol: "tcp",
			Ports: []model.PortRange{{First: 80, Last: 80}, {First: 443, Last: 443}},
		},
		"from (ip 10.0.0.7 or subnet 10.1.2.3/16) to all vms block icmp type 8 code 0 priority 50": {
			From: []Target{{Kind: Prefix, Prefix: netip.MustParsePrefix("10.0.0.7/32")}, {Kind: Prefix, Prefix: netip.MustParsePrefix("10.1.0.0/16")}},
			To:   []Target{{Kind: All}}, Protocol: "icmp", ICMPType: &eight, ICMPCode: &zero, Priority: 50,
		},
		`FROM tag "docker:label:a b" TO vm 0123456789ab BLOCK udp PORTS 1-5, 9`: {
			From: []Target{{Kind: Tag, Name: "a b"}}, To: []Target{{Kind: VM, Name: "0123456789ab"}}, Protocol: "udp",
			Ports: []model.PortRange{{First: 1, Last: 5}, {First: 9, Last: 9}},
		},
		"FROM all vms TO any BLOCK tcp PORT all": {From: []Target{{Kind: All}}, To: []Target{{Kind: Any}}, Protocol: "tcp"},
		"FROM tag x TO ip fd00::1 ALLOW icmp6":   {From: []Target{{Kind: Tag, Name: "x"}}, To: []Target{{Kind: Prefix, Prefix: netip.MustParsePrefix("fd00::1/128")}}, Allow: true, Protocol: "icmp6"},
	} {
		got, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got, addresses); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestWhatIsNoRuleIsRefusedByItsPlace(t *testing.T) {
	t.Parallel()
	for text, named := range map[string]string{
		"":                                                                             "FROM",
		"TO any":                                                                       "FROM",
		"FROM any TO any ALLOW tcp PORT 80":                                            "no containers",
		"FROM all TO any ALLOW tcp PORT 80":                                            "vms",
		"FROM host TO all vms ALLOW tcp PORT 80":                                       "a target",
		"FROM any TO all vms PERMIT tcp PORT 80":                                       "ALLOW or BLOCK",
		"FROM any TO all vms ALLOW gre":                                                "a protocol",
		"FROM any TO all vms ALLOW tcp":                                                "PORT",
		"FROM any TO all vms ALLOW tcp PORT 0":                                         "port",
		"FROM any TO all vms ALLOW tcp PORTS 9-1":                                      "port",
		"FROM any TO all vms ALLOW tcp PORT 80 PRIORITY 101":                           "priority",
		"FROM any TO all vms ALLOW tcp PORT 80 LOG":                                    "LOG",
		"FROM any TO all vms ALLOW tcp PORT 80 twice":                                  "the end",
		"FROM ip 10.0.0 TO all vms ALLOW tcp PORT 80":                                  "address",
		"FROM subnet 10.0.0.0 TO all vms ALLOW tcp PORT 80":                            "ADDRESS/BITS",
		"FROM any TO vm web ALLOW tcp PORT 80":                                         "vm",
		"FROM any TO tag ALLOW tcp PORT 80 =":                                          "",
		`FROM any TO tag "x ALLOW tcp PORT 80`:                                         "quotation",
		"FROM (any OR any TO all vms ALLOW tcp PORT 80":                                "OR",
		"FROM (" + strings.Repeat("any OR ", 30) + "any) TO all vms ALLOW tcp PORT 80": "24 targets",
		"FROM any TO all vms ALLOW icmp TYPE 256":                                      "type",
	} {
		if r, err := Parse(text); !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), named) {
			t.Errorf("%s: %+v, %v; want %q named", text, r, err, named)
		}
	}
}

func TestTheFirstRuleDecidesByPriorityAndDirection(t *testing.T) {
	t.Parallel()
	rules := []Rule{{Protocol: "a"}, {Protocol: "b", Allow: true}, {Protocol: "c", Priority: 9}}
	order := func(inbound bool) (names string) {
		sorted := append([]Rule{}, rules...)
		Order(sorted, inbound)
		for _, r := range sorted {
			names += r.Protocol
		}
		return names
	}
	if in, out := order(true), order(false); in != "cba" || out != "cab" {
		t.Errorf("in %s, out %s", in, out)
	}
}

func TestARuleIsAboutItsContainers(t *testing.T) {
	t.Parallel()
	c := &model.Container{ID: strings.Repeat("ab", 32), Spec: model.ContainerSpec{Labels: map[string]string{"role": "www", "x": ""}},
		NICs: []model.NIC{{Address: netip.MustParsePrefix("10.0.0.7/24")}}}
	for text, want := range map[string][2]bool{
		"FROM any TO tag role ALLOW tcp PORT 80":                {true, true},
		"FROM tag role = db TO tag role = www BLOCK tcp PORT 1": {true, false},
		"FROM vm abababababab TO tag none BLOCK tcp PORT 1":     {false, true},
		"FROM tag x TO subnet 10.9.0.0/16 BLOCK tcp PORT 1":     {false, true},
		"FROM tag none TO ip 10.0.0.7 ALLOW tcp PORT 1":         {true, false},
	} {
		r, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if in, out := r.About(c); [2]bool{in, out} != want {
			t.Errorf("%s: in %t, out %t", text, in, out)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("FROM any TO tag role = www ALLOW tcp (PORT 80 AND PORT 443) PRIORITY 3")
	f.Add(`FROM (ip 10.0.0.7 OR tag "a\"b" = "c") TO all vms BLOCK icmp TYPE 8 CODE 0`)
	f.Add("FROM vm 0123456789ab TO subnet fd00::/8 BLOCK udp PORTS 1-5, 9")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil {
			if !model.IsKind(err, model.KindInvalid) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if len(r.From) == 0 || len(r.To) == 0 || r.Protocol == "" || r.Priority < 0 || r.Priority > MaxPriority {
			t.Errorf("an incomplete rule: %+v", r)
		}
		for _, p := range r.Ports {
			if p.First == 0 || p.First > p.Last {
				t.Errorf("ports %+v", p)
			}
		}
	})
}
