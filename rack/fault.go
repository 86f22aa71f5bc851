package rack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// Fault does something to a host: kill, stop (SIGSTOP), cont and start act on
// its daemon; cut takes it off the underlay; isolate parts it from the other
// hosts and not from this machine, mute only lets nothing from it reach them,
// deafen nothing from them reach it; heal ends all of these. Containers and
// their addresses are not touched by any of it. crash ends all that runs on the
// host, as a loss of power would; start boots it. A port other than 0 narrows
// isolate, mute and deafen to what the host serves there, by TCP and UDP.
func (r *Rack) Fault(ctx context.Context, verb, name string, port uint16) error {
	h, err := r.host(name)
	if err != nil {
		return err
	}
	if port != 0 && !slices.Contains([]string{"isolate", "mute", "deafen"}, verb) {
		return model.Errorf(model.KindInvalid, "%s is about the whole host, not about a port of it", verb)
	}
	switch verb {
	case "kill":
		return r.signalDaemon(ctx, h, unix.SIGKILL)
	case "stop":
		return r.signalDaemon(ctx, h, unix.SIGSTOP)
	case "cont":
		return r.signalDaemon(ctx, h, unix.SIGCONT)
	case "start":
		return r.boot(h)
	case "crash":
		return r.crash(ctx, h)
	case "cut":
		return r.setLink(h, netlink.LinkSetDown)
	case "isolate":
		return r.block(h, fromHost|toHost, port)
	case "mute":
		return r.block(h, fromHost, port)
	case "deafen":
		return r.block(h, toHost, port)
	case "heal":
		return errors.Join(r.unblock(h), r.setLink(h, netlink.LinkSetUp))
	}
	return model.Errorf(model.KindInvalid, "unknown fault %q: use one of %s", verb, strings.Join(Faults(), ", "))
}

// Faults are the verbs that Fault knows.
func Faults() []string {
	return []string{"kill", "stop", "cont", "cut", "isolate", "mute", "deafen", "heal", "crash", "start"}
}

// signalDaemon signals a host's daemon and waits until the signal has worked.
func (r *Rack) signalDaemon(ctx context.Context, h host, sig unix.Signal) error {
	p, runs, err := r.daemonOf(h)
	if err != nil {
		return err
	}
	if !runs {
		return model.Errorf(model.KindConflict, "the daemon of %s does not run: start it with spearhead dev fault start %s", h.name, h.name)
	}
	if err := signal(p, sig, func(p process) bool { return r.isDaemon(p, h) }); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = poll(ctx, 2*time.Millisecond, func() (bool, error) {
		now, ok := readProcess(p.pid)
		ok = ok && r.isDaemon(now, h)
		switch sig {
		case unix.SIGKILL:
			return !ok, nil
		case unix.SIGSTOP:
			return !ok || now.state == 'T', nil
		default:
			return !ok || now.state != 'T', nil
		}
	})
	if err != nil {
		return fmt.Errorf("cannot see %s take the signal: %w", h.name, err)
	}
	return nil
}

// resume lets a stopped daemon go on.
func (r *Rack) resume(h host, p process) error {
	if p.state != 'T' {
		return nil
	}
	return signal(p, unix.SIGCONT, func(p process) bool { return r.isDaemon(p, h) })
}

func (r *Rack) setLink(h host, set func(netlink.Link) error) error {
	link, err := netlink.LinkByName(r.underlayLink(h))
	if err == nil {
		err = set(link)
	}
	if err != nil {
		return fmt.Errorf("cannot change the link of %s: %w", h.name, err)
	}
	return nil
}

// Host is a host of a rack and the state of its daemon.
type Host struct {
	Name    string
	Address string // on the underlay
	Pid     int    // of the daemon; 0 if it does not run
	State   string // running, stopped, dead; off after a crash
	Cut     bool   // off the underlay, or parted from other hosts
	Role    string // of a head that answers: leader, or as raft calls it; "" for a node
	Log     string // path
}

// Status is a rack's state.
type Status struct {
	Dir        string
	DockerHost string // value of DOCKER_HOST
	Hosts      []Host
}

// statusDeadline is how long a head may take to tell who leads.
const statusDeadline = 2 * time.Second

// Status tells the state of the rack's hosts.
func (r *Rack) Status(ctx context.Context) (Status, error) {
	s := Status{Dir: r.dir, DockerHost: dockerHost(r.heads()[0])}
	for _, h := range r.hosts() {
		p, runs, err := r.daemonOf(h)
		if err != nil {
			return Status{}, err
		}
		one := Host{Name: h.name, Address: h.addr.String(), State: "dead", Log: r.logFile(h)}
		if r.isOff(h) {
			one.State = "off"
		}
		if runs {
			one.Pid, one.State = p.pid, "running"
			if p.state == 'T' {
				one.State = "stopped"
			}
		}
		if link, err := netlink.LinkByName(r.underlayLink(h)); err == nil {
			one.Cut = link.Attrs().Flags&net.FlagUp == 0
		}
		blocked, err := r.isBlocked(h)
		if err != nil {
			return Status{}, err
		}
		one.Cut = one.Cut || blocked
		if h.role == roleHead && one.State == "running" {
			one.Role = r.roleOf(ctx, h)
		}
		s.Hosts = append(s.Hosts, one)
	}
	return s, nil
}

// roleOf is what a head says of its part among the heads.
func (r *Rack) roleOf(ctx context.Context, h host) string {
	ctx, cancel := context.WithTimeout(ctx, statusDeadline)
	defer cancel()
	status, err := r.headStatus(ctx, h)
	switch {
	case err != nil:
		return "does not answer"
	case status.IsLeader:
		return "leader"
	case status.Leader == "":
		return "has no leader"
	}
	return strings.ToLower(status.Raft.Role)
}
