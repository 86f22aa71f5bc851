package model_test

import (
	"net/netip"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

func TestLastAddress(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"10.1.2.3/16": "10.1.255.255", "10.1.2.3/32": "10.1.2.3", "0.0.0.0/0": "255.255.255.255", "192.168.4.0/23": "192.168.5.255",
		"fd00::/125": "fd00::7", "fd00::1/128": "fd00::1", "::/0": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	} {
		if got := model.LastAddress(netip.MustParsePrefix(prefix)); got != netip.MustParseAddr(want) {
			t.Errorf("the last address of %s is %s, want %s", prefix, got, want)
		}
	}
}
