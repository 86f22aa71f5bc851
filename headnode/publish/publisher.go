package publish

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Store is the replicated state as this head knows it.
type Store interface {
	View() *state.View
	Changed() <-chan struct{}
}

// Config is what a Publisher stands on.
type Config struct {
	Store Store
	// Host is the address that is listened at; "" is all of this machine.
	Host string
	// Machines are those of the data center, to which nothing is carried.
	Machines func(*state.View) []netip.Prefix
	Logger   *slog.Logger
}

// Bounds of what one head carries at once.
const (
	maxConnections       = 8192 // of tcp
	maxConnectionsOfSpot = 1024
	maxFlows             = 1024 // of udp: clients
	maxFlowsOfSpot       = 256
)

const (
	pace  = 20 * time.Millisecond // between two looks at the state
	retry = 5 * time.Second       // until the next attempt to listen
	// publishedLimit bounds how long a start waits for this head to listen.
	publishedLimit = 2 * time.Second
)

// Publisher listens and carries while Run runs. It is safe for concurrent use.
type Publisher struct {
	Config
	connections, flows slots

	mu     sync.Mutex
	doors  map[spot]*door
	failed map[spot]bool // could not be listened on
	seen   uint64        // the entry that was followed last
	news   chan struct{} // closed when seen grows

	last []*model.Container // that had numbers then; Run's alone
}

// door is a spot that is listened on.
type door struct {
	target target
	close  func() // ends the door and all that goes through it, without waiting
}

// New returns a Publisher; Run has it work.
func New(c Config) *Publisher {
	return &Publisher{
		Config: c, connections: make(slots, maxConnections), flows: make(slots, maxFlows),
		doors: map[spot]*door{}, failed: map[spot]bool{}, news: make(chan struct{}),
	}
}

// Run listens and carries by the state until ctx ends, and returns when all of
// it has stopped.
func (p *Publisher) Run(ctx context.Context) {
	var carrying sync.WaitGroup
	defer carrying.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	again := time.NewTicker(retry)
	defer again.Stop()
	wait := time.NewTicker(pace)
	defer wait.Stop()
	for anew := true; ; {
		changed := p.Store.Changed()
		p.follow(ctx, &carrying, p.Store.View(), anew)
		anew = false
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-again.C:
			anew = true
		}
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
	}
}

// follow opens and closes doors until they are those that the state wants. Most
// changes of the state are of other things; unless it is to look anew, it then
// has nothing to do.
func (p *Publisher) follow(ctx context.Context, carrying *sync.WaitGroup, v *state.View, anew bool) {
	all := v.EndpointContainers()
	if anew || !slices.Equal(all, p.last) {
		p.last = all
		var machines []netip.Prefix
		if len(all) > 0 {
			machines = p.Machines(v)
		}
		p.change(ctx, carrying, plan(v, all, machines))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = v.Index()
	close(p.news)
	p.news = make(chan struct{})
}

func (p *Publisher) change(ctx context.Context, carrying *sync.WaitGroup, wanted map[spot]target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, d := range p.doors {
		if wanted[at] != d.target {
			d.close()
			delete(p.doors, at)
		}
	}
	for at := range p.failed {
		if _, still := wanted[at]; !still {
			delete(p.failed, at)
		}
	}
	for at, to := range wanted {
		if p.doors[at] != nil {
			continue
		}
		d, err := p.open(ctx, carrying, at, to)
		if err != nil {
			if !p.failed[at] {
				p.Logger.Warn("cannot publish a port at this head", slog.String("container", to.container), slog.String("port", model.EndpointKey(at.protocol, at.number)), slog.Any("err", err))
			}
			p.failed[at] = true
			continue
		}
		p.doors[at] = d
		delete(p.failed, at)
	}
}

// open listens on a spot.
func (p *Publisher) open(ctx context.Context, carrying *sync.WaitGroup, at spot, to target) (*door, error) {
	ctx, end := context.WithCancel(ctx)
	listen := p.openTCP
	if at.protocol == "udp" {
		listen = p.openUDP
	}
	stop, err := listen(ctx, carrying, net.JoinHostPort(p.Host, strconv.Itoa(int(at.number))), to.at)
	if err != nil {
		end()
		return nil, err
	}
	return &door{to, func() {
		end() // first: what is being let in must see that it is too late
		stop()
	}}, nil
}

// Published returns when all that the state says at this moment is published,
// or cannot be, or after a moment.
func (p *Publisher) Published(ctx context.Context) {
	index := p.Store.View().Index()
	ctx, cancel := context.WithTimeout(ctx, publishedLimit)
	defer cancel()
	for {
		p.mu.Lock()
		seen, news := p.seen, p.news
		p.mu.Unlock()
		if seen >= index {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			return
		}
	}
}

// Check refuses, in Docker's words, a container that is to be published by a
// number of this machine which something else has: a daemon of the data center
// or another program.
func (p *Publisher) Check(c *model.Container) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, port := range c.Spec.Ports {
		for _, number := range port.AtHeads() {
			if p.doors[spot{port.Protocol, number}] == nil && !free(p.Host, port.Protocol, number) {
				return model.ErrPortAllocated(c, number)
			}
		}
	}
	return nil
}

// free reports whether a number can be listened on.
func free(host, protocol string, number uint16) bool {
	address := net.JoinHostPort(host, strconv.Itoa(int(number)))
	var lc net.ListenConfig
	if protocol == "udp" {
		c, err := lc.ListenPacket(context.Background(), "udp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	l, err := lc.Listen(context.Background(), "tcp", address)
	if err == nil {
		l.Close()
	}
	return err == nil
}

// slots bound how many of something there are.
type slots chan struct{}

// take takes a slot, unless all are taken.
func (s slots) take() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

// takeBoth takes one of each, or none; give gives them back.
func takeBoth(a, b slots) (give func(), ok bool) {
	if !a.take() {
		return nil, false
	}
	if !b.take() {
		<-a
		return nil, false
	}
	return func() {
		<-a
		<-b
	}, true
}
