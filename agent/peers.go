package agent

import (
	"context"
	"io"
	"time"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/wire"
)

// collectEvery is how often what no image refers to is looked for. A pull that
// was given up leaves bytes for a day, and nothing else looks for them then.
const collectEvery = 15 * time.Minute

// collect gives back, until the agent ends, what no image refers to.
func (a *Agent) collect() {
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		select {
		case <-a.running.Done():
			return
		case <-tick.C:
		}
		if err := a.drivers.Images.CollectGarbage(a.running); err != nil && a.running.Err() == nil {
			a.log.Warn("cannot collect garbage", "op", "collect", "err", err)
		}
	}
}

// CopyImage implements wire.Agent. It ends as a pull does.
func (a *Agent) CopyImage(ctx context.Context, r wire.CopyRequest) (wire.PullStream, error) {
	return a.arrive(ctx, "copy", func(ctx context.Context, progress func(image.Progress)) (wire.PulledImage, error) {
		peers, hangUp := a.dial(r.Holders)
		defer hangUp()
		img, isNew, err := a.drivers.Images.Copy(ctx, image.CopyRequest{Image: r.Image, Peers: peers, Ref: r.Ref}, progress)
		return wire.PulledImage{Image: img, Digest: r.Image.Digest, New: isNew}, err
	})
}

// ShedImage implements wire.Agent.
func (a *Agent) ShedImage(ctx context.Context, r wire.CopyRequest) (int64, error) {
	if err := a.drivers.Images.ForgetInterrupted(ctx); err != nil {
		return 0, err
	}
	peers, hangUp := a.dial(r.Holders)
	defer hangUp()
	freed, err := a.drivers.Images.Shed(ctx, r.Image.ID, peers)
	if err == nil && freed > 0 {
		a.log.Info("packed layers were given up to make room", "op", "shed", "image", r.Image.ID, "bytes", freed)
	}
	return freed, err
}

// dial makes clients of other nodes; this one is of no help to itself.
func (a *Agent) dial(holders []wire.Holder) (peers []image.Peer, hangUp func()) {
	var clients []PeerClient
	for _, h := range holders {
		if a.peer != nil && h.NodeID != a.nodeID && h.Address != "" {
			c := a.peer(h)
			clients, peers = append(clients, c), append(peers, peer{c})
		}
	}
	return peers, func() {
		for _, c := range clients {
			c.Close()
		}
	}
}

// peer is another node as package image asks it.
type peer struct{ client wire.Peer }

func (p peer) Blob(ctx context.Context, digest string, offset int64) (int64, io.ReadCloser, error) {
	blob, err := p.client.Blob(ctx, digest, offset)
	return blob.Size, blob.ReadCloser, err
}

// Blob implements wire.Agent.
func (a *Agent) Blob(ctx context.Context, digest string, offset int64) (wire.Blob, error) {
	size, r, err := a.drivers.Images.Blob(ctx, digest, offset)
	return wire.Blob{Size: size, ReadCloser: r}, err
}
