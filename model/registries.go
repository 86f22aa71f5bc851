package model

import (
	"net"
	"net/netip"
	"strings"
)

// InsecureRegistries are those that the operator lets be reached by plain HTTP
// and with any certificate. The zero value lists none. It is not changed after
// it is made, and may be used by many goroutines at once.
type InsecureRegistries struct {
	hosts    map[string]bool // "host" or "host:port", in lower case
	networks []netip.Prefix
}

// ParseInsecureRegistries reads the operator's list: entries are a host,
// host:port, or a CIDR that holds registries' addresses. The error is of
// KindInvalid and names the entry.
func ParseInsecureRegistries(entries []string) (InsecureRegistries, error) {
	l := InsecureRegistries{hosts: map[string]bool{}}
	for _, entry := range entries {
		if strings.Contains(entry, "/") {
			network, err := netip.ParsePrefix(entry)
			if err != nil {
				return InsecureRegistries{}, WrapError(KindInvalid, err, "invalid insecure registry %.64q: use host, host:port or a CIDR", entry)
			}
			l.networks = append(l.networks, network.Masked())
			continue
		}
		if entry == "" || strings.ContainsAny(entry, " \t\n@") {
			return InsecureRegistries{}, Errorf(KindInvalid, "invalid insecure registry %.64q: use host, host:port or a CIDR", entry)
		}
		l.hosts[strings.ToLower(entry)] = true
	}
	return l, nil
}

// Names reports whether a registry, given as host or host:port, is listed by
// its name.
func (l InsecureRegistries) Names(registry string) bool {
	registry = strings.ToLower(registry)
	return l.hosts[registry] || l.hosts[RegistryHost(registry)]
}

// Holds reports whether an address is in a listed network.
func (l InsecureRegistries) Holds(addr netip.Addr) bool {
	for _, network := range l.networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// Lists reports whether a registry, given as host or host:port, is listed by
// its name or by the address that it is given as.
func (l InsecureRegistries) Lists(registry string) bool {
	if l.Names(registry) {
		return true
	}
	addr, err := netip.ParseAddr(RegistryHost(registry))
	return err == nil && l.Holds(addr)
}

// RegistryHost returns the host of a registry that is given as host or
// host:port.
func RegistryHost(registry string) string {
	if host, _, err := net.SplitHostPort(registry); err == nil {
		return host
	}
	return strings.Trim(registry, "[]")
}
