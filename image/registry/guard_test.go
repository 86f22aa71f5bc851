package registry

import (
	"net/netip"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

func TestWhichAddressesAreOpen(t *testing.T) {
	t.Parallel()
	p, err := NewPolicy(Options{
		Insecure: []string{"lab.example:5000", "metadata.example", "10.9.0.0/16"},
		Denied:   []netip.Prefix{netip.MustParsePrefix("10.9.1.0/24")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		registry, address string
		open              bool
	}{
		{"docker.io", "93.184.216.34:443", true},
		{"docker.io", "192.168.1.5:443", true},
		{"docker.io", "127.0.0.1:443", false},
		{"docker.io", "[::1]:443", false},
		{"docker.io", "[::ffff:127.0.0.1]:443", false},
		{"docker.io", "169.254.169.254:80", false},
		{"docker.io", "[fe80::1%eth0]:80", false},
		{"docker.io", "0.0.0.0:80", false},
		{"docker.io", "224.0.0.1:80", false},
		{"docker.io", "10.9.2.3:443", true},
		{"docker.io", "10.9.1.3:443", false},
		{"10.9.1.3:5000", "10.9.1.3:5000", false},
		{"localhost:5000", "127.0.0.1:5000", false},
		{"127.0.0.1:5000", "127.0.0.1:5000", false},
		{"127.0.0.1:5000", "169.254.169.254:80", false},
		{"lab.example:5000", "127.0.0.1:5000", true},
		{"lab.example:6000", "127.0.0.1:5000", false},
		{"metadata.example", "169.254.169.254:80", true},
	} {
		err := p.control(test.registry)("tcp", test.address, nil)
		if (err == nil) != test.open {
			t.Errorf("%s at %s: %v, want open %v", test.registry, test.address, err, test.open)
		}
	}
}

func TestWhichRegistriesMaySpeakPlainHTTP(t *testing.T) {
	t.Parallel()
	p, err := NewPolicy(Options{Insecure: []string{"lab.example:5000", "Other.example", "10.9.0.0/16"}})
	if err != nil {
		t.Fatal(err)
	}
	for registry, want := range map[string]bool{
		"docker.io": false, "localhost": true, "localhost:5000": true, "127.8.9.1:5000": true, "[::1]:5000": true,
		"lab.example:5000": true, "lab.example": false, "other.example:99": true, "10.9.8.7:5000": true, "10.8.8.7:5000": false,
	} {
		if got := p.insecure(registry); got != want {
			t.Errorf("%s: %v, want %v", registry, got, want)
		}
	}
	for _, bad := range []string{"10.0.0.0/99", "", "a b", "user@host"} {
		if _, err := NewPolicy(Options{Insecure: []string{bad}}); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%q: %v, want invalid", bad, err)
		}
	}
}
