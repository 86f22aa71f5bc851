package compat

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// eachEndpoint applies f to each network of a container.
func eachEndpoint(f func(doc)) func(doc) {
	return func(d doc) {
		each(object(d, "NetworkSettings"), "Networks", func(_ string, endpoint doc) { f(endpoint) })
	}
}

// bareDigest takes "sha256:" off an id.
func bareDigest(d doc, keys ...string) {
	for _, key := range keys {
		if id, ok := d[key].(string); ok {
			d[key] = strings.TrimPrefix(id, "sha256:")
		}
	}
}

func bareImage(d doc) { bareDigest(d, "Id", "ParentId", "Parent") }

// bareSecurityOptions turns "name=seccomp,profile=builtin" into "seccomp".
func bareSecurityOptions(d doc) {
	options, _ := d["SecurityOptions"].([]any)
	for i, option := range options {
		if s, ok := option.(string); ok {
			name, _, _ := strings.Cut(s, ",")
			options[i] = strings.TrimPrefix(name, "name=")
		}
	}
}

// nameless images were called <none>.
func nameless(d doc) {
	if names, ok := d["RepoTags"].([]any); ok && len(names) == 0 {
		d["RepoTags"] = []any{"<none>:<none>"}
	}
	if names, ok := d["RepoDigests"].([]any); ok && len(names) == 0 {
		d["RepoDigests"] = []any{"<none>@<none>"}
	}
}

func virtualSize(d doc) { setDefault(d, "VirtualSize", d["Size"]) }

// aliasShortID: a container's short id was one of its aliases on each network
// that a user had made.
func aliasShortID(d doc) {
	id, _ := d["Id"].(string)
	mode, _ := object(d, "HostConfig")["NetworkMode"].(string)
	if len(id) < 12 || !utf8.ValidString(id[:12]) || mode == "default" || mode == "bridge" {
		return
	}
	eachEndpoint(func(endpoint doc) {
		aliases, _ := endpoint["Aliases"].([]any)
		if !slices.Contains(aliases, any(id[:12])) {
			endpoint["Aliases"] = append(aliases, id[:12])
		}
	})(d)
}

// addressesToTop repeats the addresses of a container's first network beside
// the list of its networks.
func addressesToTop(settings doc) {
	if settings == nil {
		return
	}
	legacy := doc{
		"Bridge": "", "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
		"SecondaryIPAddresses": nil, "SecondaryIPv6Addresses": nil,
		"EndpointID": "", "Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
		"IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "MacAddress": "",
	}
	first := ""
	each(settings, "Networks", func(name string, endpoint doc) {
		if primary(endpoint) && (first == "" || name < first) {
			first = name
		}
	})
	for key, empty := range legacy {
		value := empty
		if of := object(object(settings, "Networks"), first); of[key] != nil {
			value = of[key]
		}
		setDefault(settings, key, value)
	}
}

// primary reports whether a network gives the container its default route.
func primary(endpoint doc) bool {
	gateway, _ := endpoint["Gateway"].(string)
	return gateway != ""
}

// runtimeConfigOfImage adds the fields of a container's configuration that an
// image never fills.
func runtimeConfigOfImage(d doc) {
	config := object(d, "Config")
	for _, key := range []string{"Hostname", "Domainname", "Image"} {
		setDefault(config, key, "")
	}
	for _, key := range []string{"AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"} {
		setDefault(config, key, false)
	}
}

func emptyImageFields(d doc) {
	config := object(d, "Config")
	for _, key := range []string{"Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "Volumes"} {
		setDefault(config, key, nil)
	}
	for _, key := range []string{"User", "WorkingDir"} {
		setDefault(config, key, "")
	}
	for _, key := range []string{"Parent", "Comment", "DockerVersion", "Author"} {
		setDefault(d, key, "")
	}
}

// legacyEvent repeats an event's parts under the names that they had first.
func legacyEvent(d doc) {
	kind, _ := d["Type"].(string)
	if kind != "container" && kind != "image" {
		return
	}
	actor := object(d, "Actor")
	setDefault(d, "status", d["Action"])
	setDefault(d, "id", actor["ID"])
	if image, ok := object(actor, "Attributes")["image"]; ok && kind == "container" {
		setDefault(d, "from", image)
	}
}

// storageToGraphDriver: what holds a container's root was always called a
// driver.
func storageToGraphDriver(d doc) {
	snapshot := object(object(object(d, "Storage"), "RootFS"), "Snapshot")
	if name, ok := snapshot["Name"]; ok {
		setDefault(d, "GraphDriver", doc{"Name": name, "Data": nil})
		drop(d, "Storage")
	}
}

// sumOfNetworks: traffic was one sum over all interfaces.
func sumOfNetworks(d doc) {
	if d["networks"] == nil {
		delete(d, "networks")
		return
	}
	sums := doc{}
	for _, key := range []string{
		"rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped",
	} {
		sum := uint64(0)
		each(d, "networks", func(_ string, nic doc) {
			count, _ := nic[key].(json.Number)
			n, _ := strconv.ParseUint(count.String(), 10, 64) // a count that is none counts nothing
			sum += n
		})
		sums[key] = sum
	}
	delete(d, "networks")
	d["network"] = sums
}

// usageLists gives the lists that the sums of the use of disks are made from.
func usageLists(d doc) {
	for usage, list := range map[string]string{
		"ImageUsage": "Images", "ContainerUsage": "Containers", "VolumeUsage": "Volumes", "BuildCacheUsage": "BuildCache",
	} {
		of := object(d, usage)
		if of == nil {
			continue
		}
		items, ok := of["Items"]
		if !ok || items == nil {
			items = []any{}
		}
		setDefault(d, list, items)
		if usage == "ImageUsage" {
			setDefault(d, "LayersSize", 0)
			if size, ok := of["TotalSize"]; ok {
				d["LayersSize"] = size
			}
		}
	}
}
