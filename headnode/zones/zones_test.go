package zones_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/headnode/zones"
	"github.com/spearheadcloud/spearhead/internal/testaddr"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/wire"
)

// answering is a data center of one node whose head answers questions.
type answering struct {
	*headtest.Center
	account model.Account
	address string
	silent  atomic.Bool // the node gives no signs of life
}

func answer(t *testing.T) *answering {
	t.Helper()
	a := &answering{Center: headtest.New(t, 1)}
	a.account = a.Account("Jill.Doe", model.PolicyTenant)
	if _, err := a.Images.Pull(headtest.Context(t), a.account, dockerapi.PullRequest{Ref: "busybox"}, func(wire.PullProgress) {}); err != nil {
		t.Fatal(err)
	}
	server := zones.New(zones.Config{
		Store: a.Store, Connected: func(string) bool { return !a.silent.Load() }, Listen: testaddr.Free(t), Origin: "dc1.Example.org",
		Hosts: []string{"10.1.0.1"}, Transfer: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Logger: slog.New(slog.DiscardHandler),
	})
	l, err := server.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- l.Serve() }()
	t.Cleanup(func() {
		l.Close()
		<-served
	})
	a.address = l.Addr()
	return a
}

// run starts a container with labels.
func (a *answering) run(t *testing.T, name string, labels map[string]string) model.Container {
	t.Helper()
	c, _, err := a.Containers.Create(headtest.Context(t), a.account, model.CreateContainer{Name: name, Spec: model.ContainerSpec{Image: "busybox", Labels: labels}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Containers.Start(headtest.Context(t), a.account, c.ID); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask asks and returns what the answers say, sorted, or the code if it is an
// error's.
func (a *answering) ask(t *testing.T, kind uint16, name string) []string {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name, kind)
	m, _, err := (&dns.Client{Timeout: 5 * time.Second}).ExchangeContext(t.Context(), q, a.address)
	if err != nil {
		t.Fatal(err)
	}
	if m.Rcode != dns.RcodeSuccess {
		return []string{dns.RcodeToString[m.Rcode]}
	}
	var said []string
	for _, rr := range m.Answer {
		said = append(said, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(said)
	return said
}

func (a *answering) want(t *testing.T, kind uint16, name string, want ...string) {
	t.Helper()
	var got []string
	a.Until("the answer about "+name, func() bool {
		got = a.ask(t, kind, name)
		return slices.Equal(got, want)
	})
}

func TestContainersAndServicesAreFound(t *testing.T) {
	t.Parallel()
	a := answer(t)
	one := a.run(t, "web_1", map[string]string{"triton.cns.services": "www:80:priority=5,static", "triton.cns.reverse_ptr": "shop.example.com"})
	two := a.run(t, "web_2", map[string]string{"triton.cns.services": "www"})
	a.run(t, "secret", map[string]string{"triton.cns.disable": "true"})
	first, second := one.NICs[0].Address.Addr().String(), two.NICs[0].Address.Addr().String()
	const zone = "jill-doe.dc1.example.org."
	a.want(t, dns.TypeA, "WEB-1.inst."+zone, first)
	a.want(t, dns.TypeA, model.ShortID(one.ID)+".inst."+zone, first)
	a.want(t, dns.TypeA, "web-1.inst."+a.account.ID+".dc1.example.org.", first)
	a.want(t, dns.TypeA, "www.svc."+zone, first, second)
	a.want(t, dns.TypeSRV, "www.svc."+zone, "5 10 80 web-1.inst."+zone)
	a.want(t, dns.TypeA, "secret.inst."+zone, "NXDOMAIN")
	a.want(t, dns.TypeA, "svc."+zone)
	a.want(t, dns.TypeA, "web-1.inst.nobody.dc1.example.org.", "NXDOMAIN")
	a.want(t, dns.TypeA, "example.com.", "REFUSED")
	a.want(t, dns.TypeNS, "dc1.example.org.", "ns.dc1.example.org.")
	a.want(t, dns.TypeA, "ns.dc1.example.org.", "10.1.0.1")
	reverse, _ := dns.ReverseAddr(first)
	a.want(t, dns.TypePTR, reverse, "shop.example.com.")
	reverse, _ = dns.ReverseAddr(second)
	a.want(t, dns.TypePTR, reverse, "web-2.inst."+zone)

	// Who ends leaves its services, and who is removed leaves everything.
	if err := a.Containers.Kill(headtest.Context(t), a.account, two.ID, wire.KillRequest{}); err != nil {
		t.Fatal(err)
	}
	a.want(t, dns.TypeA, "www.svc."+zone, first)
	a.want(t, dns.TypeA, "web-2.inst."+zone, second)
	a.silent.Store(true)
	a.want(t, dns.TypeA, "www.svc."+zone, "NXDOMAIN")
	if err := a.Containers.Remove(headtest.Context(t), a.account, two.ID, wire.RemoveRequest{}); err != nil {
		t.Fatal(err)
	}
	a.want(t, dns.TypeA, "web-2.inst."+zone, "NXDOMAIN")
}

func TestSecondariesGetTheWholeZone(t *testing.T) {
	t.Parallel()
	a := answer(t)
	one := a.run(t, "web", map[string]string{"triton.cns.services": "www"})
	q := new(dns.Msg)
	q.SetAxfr("dc1.example.org.")
	envelopes, err := new(dns.Transfer).In(q, a.address)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for e := range envelopes {
		if e.Error != nil {
			t.Fatal(e.Error)
		}
		for _, rr := range e.RR {
			names = append(names, rr.Header().Name)
		}
	}
	const zone = "jill-doe.dc1.example.org."
	for _, name := range []string{"web.inst." + zone, model.ShortID(one.ID) + ".inst." + zone, "www.svc." + zone} {
		if !slices.Contains(names, name) {
			t.Errorf("the zone lacks %s: %v", name, names)
		}
	}
	if names[0] != "dc1.example.org." || names[len(names)-1] != "dc1.example.org." {
		t.Errorf("the zone does not begin and end with its SOA record: %v", names)
	}
}

// TestOnlyWhoDoesWellIsSentUsers: a service loses at once who is unhealthy, and
// regains who is well again.
func TestOnlyWhoDoesWellIsSentUsers(t *testing.T) {
	t.Parallel()
	a := answer(t)
	one := a.run(t, "web", map[string]string{"triton.cns.services": "www:80"})
	const zone = "jill-doe.dc1.example.org."
	at := one.NICs[0].Address.Addr().String()
	seq := uint64(1 << 20)
	for _, step := range []struct {
		health model.HealthStatus
		want   []string
	}{{model.HealthStarting, []string{at}}, {model.HealthUnhealthy, []string{"NXDOMAIN"}}, {model.HealthHealthy, []string{at}}} {
		c, _ := a.Store.View().Container(one.ID)
		now := c.State
		now.Health = &model.Health{Status: step.health}
		seq++
		a.Propose(command.CommitJournal{NodeID: c.NodeID, Epoch: "another disk", Entries: []model.JournalEntry{{Seq: seq, ContainerID: c.ID, Action: "health_status", Time: time.Now(), State: &now}}})
		a.want(t, dns.TypeA, "www.svc."+zone, step.want...)
		a.want(t, dns.TypeA, "web.inst."+zone, at)
	}
}

// TestAFloodOfQuestionsKeepsNobodyFromAnswers: names that do not exist, asked as
// fast as can be from several places.
func TestAFloodOfQuestionsKeepsNobodyFromAnswers(t *testing.T) {
	t.Parallel()
	a := answer(t)
	one := a.run(t, "web", nil)
	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	defer flood.Wait()
	defer stop()
	for i := range 4 {
		flood.Go(func() {
			c, err := net.Dial("udp", a.address)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for n := range 5000 {
				if ctx.Err() != nil {
					return
				}
				q := new(dns.Msg)
				q.SetQuestion(fmt.Sprintf("no-%d-%d.inst.nobody-%d.dc1.example.org.", i, n, n), dns.TypeA)
				packed, err := q.Pack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = c.Write(packed) // what does not fit is lost
			}
		})
	}
	q := new(dns.Msg)
	q.SetQuestion("web.inst.jill-doe.dc1.example.org.", dns.TypeA)
	for answered, deadline := 0, time.Now().Add(2*time.Minute); answered < 20; {
		m, _, err := (&dns.Client{Timeout: 2 * time.Second}).ExchangeContext(t.Context(), q, a.address)
		if err == nil && len(m.Answer) == 1 && strings.Contains(m.Answer[0].String(), one.NICs[0].Address.Addr().String()) {
			answered++
			continue
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d answers in the flood, the last is %v, %v", answered, m, err)
		}
	}
}

func TestServicesBringAddressesAlong(t *testing.T) {
	t.Parallel()
	a := answer(t)
	one := a.run(t, "web", map[string]string{"triton.cns.services": "www:80"})
	q := new(dns.Msg)
	q.SetQuestion("www.svc.jill-doe.dc1.example.org.", dns.TypeSRV)
	m, _, err := (&dns.Client{Timeout: 5 * time.Second}).ExchangeContext(t.Context(), q, a.address)
	if err != nil || len(m.Answer) != 1 || len(m.Extra) != 1 || !strings.HasSuffix(m.Extra[0].String(), one.NICs[0].Address.Addr().String()) {
		t.Errorf("%v, %v", m, err)
	}
}

func FuzzServices(f *testing.F) {
	f.Add("www:80:priority=5,static", "a.b_C")
	f.Fuzz(func(t *testing.T, label, name string) {
		zones.CheckServices(t, label, name)
	})
}
