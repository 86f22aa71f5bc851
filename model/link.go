package model

import "strings"

// Link lets a container know another one of its account by an alias: in its
// hosts file and, as Docker's links do, in its environment. The head decides
// all of it at create; addresses are promised and do not change.
type Link struct {
	ContainerID string   `json:"container_id"`
	Name        string   `json:"name"`            // of the other container
	Alias       string   `json:"alias"`           // in this container
	Hosts       []string `json:"hosts,omitempty"` // names besides Alias under which it is found
	Address     string   `json:"address"`
	Env         []string `json:"env,omitempty"` // ALIAS_NAME=…, ALIAS_PORT_80_TCP=… and so on
}

// LinkHosts are the names besides its alias under which a container finds the
// one that it is linked to: the other's host name and name.
func LinkHosts(alias, hostname, name string) []string {
	var hosts []string
	if hostname != "" && hostname != alias {
		hosts = append(hosts, hostname)
	}
	if name != alias && name != hostname {
		hosts = append(hosts, name)
	}
	return hosts
}

// LinkVariable is how the names of all variables of a link begin.
func LinkVariable(alias string) string {
	return strings.ToUpper(strings.ReplaceAll(alias, "-", "_"))
}

// LinkNameVariable tells a container its own name and its alias for another.
func LinkNameVariable(own, alias string) string {
	return LinkVariable(alias) + "_NAME=/" + own + "/" + alias
}
