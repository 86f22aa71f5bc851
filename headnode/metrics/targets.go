package metrics

import (
	"net"
	"net/netip"

	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// targetGroup is one element of what Prometheus reads from an HTTP service
// discovery (http_sd_config).
type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// targets lists the machines whose numbers can be fetched from elsewhere.
func targets(v *state.View) []targetGroup {
	groups := []targetGroup{}
	for _, h := range v.Heads() {
		if isReachable(h.MetricsAddress) {
			groups = append(groups, targetGroup{[]string{h.MetricsAddress}, map[string]string{"role": "head", "machine": h.Name}})
		}
	}
	for _, n := range v.Nodes() {
		if n.Approved && isReachable(n.Info.MetricsAddress) {
			groups = append(groups, targetGroup{[]string{n.Info.MetricsAddress}, map[string]string{"role": "node", "machine": n.Name}})
		}
	}
	return groups
}

// isReachable reports whether an address means the same machine elsewhere.
func isReachable(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil || host == "" || host == "localhost" {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err != nil || !a.IsLoopback() && !a.IsUnspecified()
}
