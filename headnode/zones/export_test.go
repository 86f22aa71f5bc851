package zones

import (
	"testing"

	"github.com/miekg/dns"
)

// CheckServices holds that whatever labels and names containers have, what is
// told can be part of a domain name.
func CheckServices(t *testing.T, label, name string) {
	t.Helper()
	all := servicesOf(label)
	for _, s := range all {
		if _, ok := dns.IsDomainName(s.name + ".svc.x."); !ok || len(s.name) > 63 {
			t.Errorf("%q is a service of %q", s.name, label)
		}
	}
	if l := dnsLabel(name); len(l) > 63 {
		t.Errorf("%q becomes %q", name, l)
	}
}
