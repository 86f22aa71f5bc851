package task

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/resolver"
)

// etcFiles are the paths of the files that a container sees in its /etc.
type etcFiles struct {
	hostname, hosts, resolvConf string
}

func etcPaths(dir, container string) etcFiles {
	dir = filepath.Join(dir, container)
	return etcFiles{
		hostname:   filepath.Join(dir, "hostname"),
		hosts:      filepath.Join(dir, "hosts"),
		resolvConf: filepath.Join(dir, "resolv.conf"),
	}
}

// writeEtc writes a container's files. They are written anew at every start,
// so a torn one never outlives the crash that tore it.
func writeEtc(dir string, c *model.Container, networks []model.Network) (etcFiles, error) {
	paths := etcPaths(dir, c.ID)
	hosts, err := hostsFile(c)
	if err != nil {
		return paths, err
	}
	if err := os.MkdirAll(filepath.Dir(paths.hosts), 0o755); err != nil {
		return paths, err
	}
	for _, f := range []struct {
		path string
		data []byte
	}{
		{paths.hostname, []byte(c.Spec.Hostname + "\n")},
		{paths.hosts, hosts},
		{paths.resolvConf, resolvConfFile(&c.Spec, networks)},
	} {
		if err := os.WriteFile(f.path, f.data, 0o644); err != nil {
			return paths, err
		}
	}
	return paths, nil
}

func removeEtc(dir, container string) error {
	return os.RemoveAll(filepath.Join(dir, container))
}

// hostsFile is hosts(5): the loopback names, or the machine's own file for a
// container that shares its network; then what was asked for, then those that
// it is linked to, then itself.
func hostsFile(c *model.Container) ([]byte, error) {
	var b bytes.Buffer
	if c.Spec.Network == "host" {
		machine, err := os.ReadFile("/etc/hosts")
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		b.Write(machine)
	} else {
		b.WriteString("127.0.0.1\tlocalhost\n" +
			"::1\tlocalhost ip6-localhost ip6-loopback\n" +
			"fe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n")
	}
	for _, extra := range c.Spec.ExtraHosts {
		name, address, _ := strings.Cut(extra, ":")
		if address == "host-gateway" {
			gateway := primaryNIC(c).Gateway
			if !gateway.IsValid() {
				return nil, model.Errorf(model.KindInvalid, "cannot add host %q: this container has no gateway", name)
			}
			address = gateway.String()
		}
		fmt.Fprintf(&b, "%s\t%s\n", strings.Trim(address, "[]"), name)
	}
	for _, link := range c.Spec.Links {
		fmt.Fprintf(&b, "%s\t%s\n", link.Address, strings.Join(linkNames(link), " "))
	}
	names := ownNames(&c.Spec)
	for _, nic := range c.NICs {
		if nic.Address.IsValid() && names != "" {
			fmt.Fprintf(&b, "%s\t%s\n", nic.Address.Addr(), names)
		}
	}
	return b.Bytes(), nil
}

// linkNames are all names of a link, its alias first, each once.
func linkNames(l model.Link) []string {
	var names []string
	for _, name := range append([]string{l.Alias}, append(slices.Clone(l.Hosts), l.Name)...) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// ownNames are the container's full name and its first part, wherever it was
// split into host and domain.
func ownNames(spec *model.ContainerSpec) string {
	full := spec.Hostname
	if full != "" && spec.Domainname != "" {
		full += "." + spec.Domainname
	}
	if first, _, split := strings.Cut(full, "."); split {
		return full + " " + first
	}
	return full
}

func primaryNIC(c *model.Container) model.NIC {
	for _, nic := range c.NICs {
		if nic.Primary {
			return nic
		}
	}
	return model.NIC{}
}

// resolvConfFile is resolv.conf(5): with networks of its own a container asks
// the resolver that it has in its namespace, which asks the others; in the
// machine's network, what was asked for, else what the machine asks.
func resolvConfFile(spec *model.ContainerSpec, networks []model.Network) []byte {
	servers, search, options := spec.DNS, spec.DNSSearch, spec.DNSOptions
	var b bytes.Buffer
	if len(networks) == 0 {
		machine := readResolvConf("/etc/resolv.conf", spec.Network == "host")
		if len(servers) == 0 {
			servers = machine.servers
		}
		if len(search) == 0 {
			search = machine.search
		}
		if len(options) == 0 {
			options = machine.options
		}
	} else {
		if len(servers) > 0 { // as Docker says it
			fmt.Fprintf(&b, "# ExtServers: [%s]\n", strings.Join(servers, " "))
		}
		servers = []string{resolver.Address.String()}
		if !slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(o, "ndots:") }) {
			options = append(slices.Clone(options), "ndots:0") // a name without a dot is whole
		}
	}
	for _, s := range servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(search) > 0 && (len(search) != 1 || search[0] != ".") {
		fmt.Fprintf(&b, "search %s\n", strings.Join(search, " "))
	}
	if len(options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(options, " "))
	}
	return b.Bytes()
}

type resolvConf struct{ servers, search, options []string }

// readResolvConf reads the machine's file. Resolvers on its loopback are of no
// use to a container with a network of its own.
func readResolvConf(path string, loopback bool) (c resolvConf) {
	file, err := os.Open(path)
	if err != nil {
		return c // a machine without resolvers has none to offer
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(words[1]); err == nil && (loopback || !a.IsLoopback()) {
				c.servers = append(c.servers, words[1])
			}
		case "search":
			c.search = words[1:]
		case "options":
			c.options = words[1:]
		}
	}
	return c
}
