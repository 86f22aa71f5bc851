package model

import "testing"

func TestInsecureRegistries(t *testing.T) {
	t.Parallel()
	l, err := ParseInsecureRegistries([]string{"Lab.example:5000", "plain.example", "10.9.0.0/16", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for registry, want := range map[string]bool{
		"lab.example:5000": true, "LAB.example:5000": true, "lab.example": false, "lab.example:5001": false,
		"plain.example": true, "plain.example:80": true, "other.example": false,
		"10.9.3.4:5000": true, "10.9.3.4": true, "10.8.3.4:5000": false, "[fd00::1]:5000": true, "[fe00::1]:5000": false, "": false,
	} {
		if got := l.Lists(registry); got != want {
			t.Errorf("%q listed: %v, want %v", registry, got, want)
		}
	}
	for _, bad := range []string{"", "a b", "user@host", "10.0.0.0/99", "http://host"} {
		if _, err := ParseInsecureRegistries([]string{bad}); !IsKind(err, KindInvalid) {
			t.Errorf("%q: %v, want it refused", bad, err)
		}
	}
	if (InsecureRegistries{}).Lists("10.0.0.1") {
		t.Error("the zero value lists a registry")
	}
}
