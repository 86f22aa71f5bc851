package compat

import (
	"encoding/json"
	"net/url"
)

// inHost applies f to the HostConfig of a create request.
func inHost(f func(host doc)) func(doc) {
	return func(d doc) {
		if d["HostConfig"] == nil {
			d["HostConfig"] = doc{}
		}
		if host := object(d, "HostConfig"); host != nil {
			f(host)
		}
	}
}

func eachMount(host doc, f func(mount doc)) {
	each(host, "Mounts", func(_ string, mount doc) { f(mount) })
}

// volumeDriverToHost: the driver was a field of the container's Config.
func volumeDriverToHost(d doc) {
	if driver, ok := d["VolumeDriver"].(string); ok {
		if driver != "" {
			setDefault(ensure(d, "HostConfig"), "VolumeDriver", driver)
		}
		delete(d, "VolumeDriver")
	}
}

// dropForeignOptions drops the options of a mount that are for other types.
func dropForeignOptions(mount doc) {
	options := map[string]string{"bind": "BindOptions", "volume": "VolumeOptions", "tmpfs": "TmpfsOptions"}
	kind, _ := mount["Type"].(string)
	for of, key := range options {
		if of != kind {
			delete(mount, key)
		}
	}
	drop(object(mount, "BindOptions"), "CreateMountpoint")
}

// filterToReference: images could be selected by name with a parameter of its
// own.
func filterToReference(q url.Values) { parameterToFilter(q, "filter", "reference") }

// parametersToFilters: a list could be selected from with parameters that are
// filters now.
func parametersToFilters(names ...string) func(url.Values) {
	return func(q url.Values) {
		for _, name := range names {
			parameterToFilter(q, name, name)
		}
	}
}

// parameterToFilter makes a parameter the value of a filter that is not given.
func parameterToFilter(q url.Values, parameter, filter string) {
	value := q.Get(parameter)
	q.Del(parameter)
	if value == "" {
		return
	}
	filters := doc{}
	if given := q.Get("filters"); given != "" && json.Unmarshal([]byte(given), &filters) != nil {
		return // the handler refuses it
	}
	if filters == nil { // the text was null
		filters = doc{}
	}
	if _, ok := filters[filter]; ok {
		return
	}
	filters[filter] = []string{value}
	if encoded, err := json.Marshal(filters); err == nil {
		q.Set("filters", string(encoded))
	}
}

// macToEndpoint: a container had one MAC address, that of its first network.
func macToEndpoint(d doc) {
	mac, ok := d["MacAddress"].(string)
	if !ok {
		if d["MacAddress"] == nil {
			delete(d, "MacAddress")
		}
		return
	}
	delete(d, "MacAddress")
	if mac == "" {
		return
	}
	network, _ := ensure(d, "HostConfig")["NetworkMode"].(string)
	if network == "" {
		network = "default"
	}
	endpoints := ensure(ensure(d, "NetworkingConfig"), "EndpointsConfig")
	setDefault(ensure(endpoints, network), "MacAddress", mac)
}

// commandLists: a command could be one string.
func commandLists(d doc) {
	for _, key := range []string{"Cmd", "Entrypoint"} {
		if s, ok := d[key].(string); ok {
			d[key] = []any{s}
		}
	}
}
