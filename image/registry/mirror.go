package registry

import (
	"net/url"
	"path"
	"strings"
	"syscall"

	"github.com/containerd/containerd/v2/core/remotes/docker"

	"github.com/spearheadcloud/spearhead/model"
)

// mirrored is the one registry that may have mirrors, as Docker has it.
const mirrored = "docker.io"

// mirror is another place for what is on docker.io.
type mirror struct {
	scheme string // "" is https, or http where the operator listed it
	host   string // host or host:port
	path   string
}

func parseMirror(entry string) (mirror, error) {
	text := entry
	if !strings.Contains(text, "://") {
		text = "//" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
		return mirror{}, model.Errorf(model.KindInvalid, "invalid registry mirror %.128q: use host, host:port or a URL of http or https", entry)
	}
	return mirror{scheme: u.Scheme, host: u.Host, path: u.Path}, nil
}

// mirrorHosts returns where to ask before a registry is asked itself.
func (p *Policy) mirrorHosts(name string) ([]endpoint, error) {
	if name != mirrored {
		return nil, nil
	}
	var list []endpoint
	for _, m := range p.mirrors {
		e, err := p.connect(connection{
			name: m.host, insecure: m.scheme == "http" || p.insecure(m.host), control: p.mirrorControl(),
			timeout: responseTimeout,
		})
		if err != nil {
			return nil, err
		}
		if m.scheme != "" {
			e.host.Scheme = m.scheme
		}
		e.host.Path = path.Join("/", m.path, "v2")
		e.host.Capabilities = docker.HostCapabilityPull | docker.HostCapabilityResolve
		list = append(list, e)
	}
	return list, nil
}

// mirrorControl lets a mirror have any address that is not denied.
func (p *Policy) mirrorControl() dialHook {
	hook := p.control("")
	return func(network, address string, c syscall.RawConn) error {
		err := hook(network, address, c)
		if guarded, ok := err.(errGuarded); ok && p.open(guarded.addr, true) { //nolint:errorlint // the hook's own
			return nil
		}
		return err
	}
}
