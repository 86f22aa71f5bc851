package model

import (
	"strconv"
	"strings"
)

// LabelServices is the label by which a container says of which services it is
// part (see ParseServices).
const LabelServices = "triton.cns.services"

// Service is something that a container offers, found by a name which others
// that offer the same have as well.
type Service struct {
	Name string `json:"name"`
	// Port is 0 where the service is found by its address only. Priority and
	// Weight are as in RFC 2782.
	Port     uint16 `json:"port,omitempty"`
	Priority uint16 `json:"priority,omitempty"`
	Weight   uint16 `json:"weight,omitempty"`
}

// ParseServices reads NAME[:PORT][:priority=N][:weight=N], and more after commas.
// What cannot be read is left out: it is a label, and nobody is there to refuse.
func ParseServices(label string) []Service {
	var all []Service
	for text := range strings.SplitSeq(label, ",") {
		parts := strings.Split(strings.TrimSpace(text), ":")
		s := Service{Name: DNSLabel(parts[0]), Weight: 10}
		good := s.Name != ""
		for _, part := range parts[1:] {
			name, value, named := strings.Cut(part, "=")
			if !named {
				name, value = "port", part
			}
			n, err := strconv.ParseUint(value, 10, 16)
			into := map[string]*uint16{"port": &s.Port, "priority": &s.Priority, "weight": &s.Weight}[name]
			if err != nil || into == nil {
				good = false
				break
			}
			*into = uint16(n)
		}
		if good {
			all = append(all, s)
		}
	}
	return all
}

// DNSLabel makes of a name one that can be part of a domain name (RFC 1123,
// 2.1): letters, digits and hyphens, at most 63 of them.
func DNSLabel(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return strings.Trim(clean[:min(len(clean), 63)], "-")
}
