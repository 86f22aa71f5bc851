package agent_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/agent"
	"github.com/spearheadcloud/spearhead/agent/server"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

func certified(t *testing.T, ca *pki.CA, id string) *pki.Identity {
	t.Helper()
	key, request, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Sign(request, pki.RoleNode, id, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	identity, err := pki.NewIdentity(key, cert, ca.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// serve serves an agent as the node of an identity until the test ends, and
// returns its address.
func serve(t *testing.T, a wire.Node, identity *pki.Identity) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, listener, identity.ServerTLS(pki.RoleHead, pki.RoleNode), a, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// TestNodesCopyFromEachOtherAsWhoTheyAre lets a node take an image from another
// one, by certificates. A machine that is not the node which the head named is
// asked for nothing.
func TestNodesCopyFromEachOtherAsWhoTheyAre(t *testing.T) {
	t.Parallel()
	ca, err := pki.CreateCA("dc", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	holder := fresh(t)
	address := serve(t, holder, certified(t, ca, "holder"))
	taker := certified(t, ca, "taker")
	n := fresh(t, func(o *agent.Options) {
		o.Peer = func(h wire.Holder) agent.PeerClient {
			return wire.NewClient("https://"+h.Address, taker.ClientTLS(pki.RoleNode, h.NodeID))
		}
	})
	take := func(holders ...wire.Holder) error {
		stream, err := n.CopyImage(t.Context(), wire.CopyRequest{Image: model.Image{ID: wiretest.ImageID}, Holders: holders})
		if err != nil {
			return err
		}
		defer stream.Close()
		for {
			m, err := stream.Next()
			switch {
			case err != nil:
				return err
			case m.Error != nil:
				return m.Error.Err()
			case m.Image != nil:
				return nil
			}
		}
	}
	if err := take(wire.Holder{NodeID: "another", Address: address}); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("from a node that is another one: %v", err)
	}
	if err := take(wire.Holder{NodeID: "gone", Address: "127.0.0.1:1"}, wire.Holder{NodeID: "holder", Address: address}); err != nil {
		t.Errorf("from the holder: %v", err)
	}
	if ids, err := n.Images(t.Context()); err != nil || len(ids) == 0 {
		t.Errorf("the node holds %v, error %v", ids, err)
	}
}
