package network

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/spearheadcloud/spearhead/model"
)

// BenchmarkAgain is a driver that starts on a node with a hundred fabrics of
// one container each, until it acts by what it was told before.
func BenchmarkAgain(b *testing.B) {
	const fabrics = 100
	m := newMachines(b, "node-a")
	d := m.drivers["node-a"]
	for i := range fabrics {
		n := fabric(uint32(100+i), fmt.Sprintf("10.%d.0.0/24", 50+i))
		nic := nicOn(n, "eth0", 11)
		if _, err := d.Attach(context.Background(), Attachment{
			Container: fmt.Sprint("c", i), Account: "alice", NICs: []model.NIC{nic}, Networks: []model.Network{n}, Resolver: true,
		}); err != nil {
			b.Fatal(err)
		}
		m.know(n, model.Member{ContainerID: fmt.Sprint("c", i), AccountID: "alice", Underlay: m.places["node-a"], MAC: nic.MAC, Address: nic.Address.Addr(), Up: true})
	}
	m.tell()
	for b.Loop() {
		m.drivers["node-a"].release()
		m.start("node-a")
		m.tell()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/start")
}

// asker asks one container's resolver for one name, by one socket.
type asker struct {
	conn     net.Conn
	question []byte
}

func newAsker(b *testing.B, path, name string) *asker {
	b.Helper()
	var a asker
	err := inside(b, path, func() (err error) { a.conn, err = net.Dial("udp", "127.0.0.11:53"); return err })
	if err == nil {
		a.question, err = new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA).Pack()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { a.conn.Close() })
	return &a
}

// ask returns how long an answer takes.
func (a *asker) ask(b *testing.B) time.Duration {
	var answer [512]byte
	begun := time.Now()
	a.conn.SetReadDeadline(begun.Add(time.Minute))
	if _, err := a.conn.Write(a.question); err != nil {
		b.Fatal(err)
	}
	if _, err := a.conn.Read(answer[:]); err != nil {
		b.Fatal(err)
	}
	return time.Since(begun)
}

// BenchmarkNames is a question for a name of a container's own network, asked
// by one container after the other, as each may ask so many a second only; and
// how long one waits alone, and while another container asks all that it can.
func BenchmarkNames(b *testing.B) {
	const containers = 32
	m := newMachinesApart(b, "node-a")
	n := fabric(7, "10.7.0.0/24")
	askers := make([]*asker, containers)
	for i := range askers {
		askers[i] = newAsker(b, m.join("node-a", "alice", fmt.Sprint("c", i), []model.Network{n}, nicOn(n, "eth0", byte(11+i))), "c1")
	}
	b.Run("one-after-the-other", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			askers[i%containers].ask(b)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "questions/s")
	})
	waits := func(b *testing.B) {
		var all []float64
		for i := 0; b.Loop(); i++ {
			all = append(all, float64(askers[1+i%(containers-1)].ask(b).Microseconds()))
		}
		slices.Sort(all)
		b.ReportMetric(median(all), "µs/median")
		b.ReportMetric(all[len(all)*99/100], "µs/99%")
	}
	b.Run("alone", waits)
	b.Run("beside-a-flood", func(b *testing.B) {
		var flood sync.WaitGroup
		defer flood.Wait()
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		flood.Go(func() {
			for ctx.Err() == nil {
				askers[0].conn.Write(askers[0].question)
			}
		})
		waits(b)
	})
}
