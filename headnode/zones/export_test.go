package zones

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/spearheadcloud/spearhead/model"
)

// CheckServices holds that whatever labels and names containers have, what is
// told can be part of a domain name.
func CheckServices(t *testing.T, label, name string) {
	t.Helper()
	all := model.ParseServices(label)
	for _, s := range all {
		if _, ok := dns.IsDomainName(s.Name + ".svc.x."); !ok || len(s.Name) > 63 {
			t.Errorf("%q is a service of %q", s.Name, label)
		}
	}
	if l := model.DNSLabel(name); len(l) > 63 {
		t.Errorf("%q becomes %q", name, l)
	}
}
