package endtoend

import (
	"testing"

	"github.com/spearheadcloud/spearhead/wire"
)

// BenchmarkLife is the way of S1 below the head: create, start, end seen in
// the journal, removed, with an address, through TLS.
func BenchmarkLife(b *testing.B) {
	for _, network := range []string{"street", "none"} {
		b.Run(network, func(b *testing.B) {
			n := newNode(b)
			n.start("")
			n.pull()
			journal, err := n.client.Journal(b.Context(), wire.Ack{})
			n.ok(err)
			defer journal.Close()
			for b.Loop() {
				r := n.request("")
				r.Container.Spec.Cmd = []string{"true"}
				if network == "none" {
					r.Container.Spec.Network, r.Container.NICs = "none", nil
				}
				_, err := n.client.Create(b.Context(), r)
				n.ok(err)
				_, err = n.client.Start(b.Context(), r.Container.ID)
				n.ok(err)
				for ended := false; !ended; {
					batch, err := journal.Next()
					n.ok(err)
					for _, e := range batch {
						ended = ended || e.ContainerID == r.Container.ID && e.Action == "die"
					}
				}
				_, err = n.client.Remove(b.Context(), r.Container.ID, wire.RemoveRequest{})
				n.ok(err)
				n.nextHost = 10 // the address is free again
			}
			if all, err := n.client.Containers(b.Context()); err != nil || len(all) != 0 {
				b.Errorf("left: %v, %v", []wire.ContainerRecord(all), err)
			}
		})
	}
}
