package policy

import (
	"net"
	"net/netip"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// logging keeps the logs of a tenant away from the node that sends them: from
// its sockets and from what listens on its own addresses only.
func (c *checker) logging(l *model.LogConfig) {
	option := map[string]string{"syslog": "syslog-address", "gelf": "gelf-address", "fluentd": "fluentd-address"}[l.Driver]
	if option == "" {
		return
	}
	address, asked := l.Options[option]
	scheme, host, hasScheme := strings.Cut(address, "://")
	switch {
	case !asked:
		c.deny("HostConfig.LogConfig", "driver %s without %s would send to the node itself", l.Driver, option)
	case hasScheme && strings.HasPrefix(scheme, "unix"), !hasScheme && strings.HasPrefix(address, "/"):
		c.deny("HostConfig.LogConfig", "%s %q is a socket of the node", option, clip(address))
	default:
		if !hasScheme {
			host = address
		}
		c.denyIf(ofTheNode(host), "HostConfig.LogConfig", option+" "+clip(address)+" is an address of the node itself")
	}
}

// ofTheNode reports whether host[:port] means the machine that dials it.
func ofTheNode(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && (a.Unmap().IsLoopback() || a.IsUnspecified() || a.Unmap().IsLinkLocalUnicast())
}
