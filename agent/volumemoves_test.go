package agent_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// newLonePair is a pair whose old node has a volume that nothing mounts.
func newLonePair(t *testing.T) (*pair, wire.FetchVolumeRequest) {
	t.Helper()
	p := newPair(t, nil, nil)
	must(t)(p.from.Remove(t.Context(), p.id(), wire.RemoveRequest{Force: true}))
	return p, wire.FetchVolumeRequest{Volume: wire.VolumeRef{ID: "v1"}, From: p.fetch.From}
}

func volumeFile(n *node) string { return filepath.Join(n.kernel.Dir("volume", "v1"), "file") }

func (p *pair) offerVolume(t *testing.T) {
	t.Helper()
	if err := p.from.OfferVolume(t.Context(), "v1", wire.OfferRequest{To: newNode}); err != nil {
		t.Fatal(err)
	}
}

func TestAVolumeGoesFromNodeToNode(t *testing.T) {
	t.Parallel()
	used := newPair(t, nil, nil)
	if err := used.from.OfferVolume(t.Context(), "v1", wire.OfferRequest{To: newNode}); !model.IsKind(err, model.KindConflict) {
		t.Errorf("an offer of a volume in use: %v", err)
	}
	p, fetch := newLonePair(t)
	ctx := t.Context()
	p.put(t, "volume", "early")
	if _, err := p.to.FetchVolume(ctx, fetch); !model.IsKind(err, model.KindForbidden) {
		t.Errorf("a fetch of what was not offered: %v", err)
	}
	p.offerVolume(t)
	for what, err := range map[string]error{
		"snapshot": p.from.SnapshotVolume(ctx, "v1", "monday"), "restore": p.from.RestoreVolume(ctx, "v1", "monday"), "resize": p.from.ResizeVolume(ctx, "v1", 1),
		"receive": p.from.ReceiveVolume(ctx, "v1", wire.ReceiveVolumeRequest{Onto: true}, strings.NewReader("")), "removal": p.from.RemoveSnapshot(ctx, "v1", "monday"),
	} {
		if !model.IsKind(err, model.KindConflict) || !strings.Contains(err.Error(), "on its way to another node") {
			t.Errorf("a %s meanwhile: %v", what, err)
		}
	}
	p.from.Close() // an offer outlives its agent
	p.openFrom(p.from.dir, nil)
	fetch.From = p.fetch.From
	for _, content := range []string{"early", "late"} {
		p.put(t, "volume", content)
		if _, err := p.to.FetchVolume(ctx, fetch); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(volumeFile(p.to)); err != nil || string(got) != content {
			t.Errorf("%q has come, %v", got, err)
		}
	}
	if progress, err := p.to.FetchVolumeProgress(ctx, "v1"); err != nil || progress.Bytes == 0 {
		t.Errorf("progress is %+v, %v", progress, err)
	}
	for _, n := range []*node{p.to, p.from} {
		for range 2 {
			if err := n.SettleVolume(ctx, "v1"); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := p.to.FetchVolumeProgress(ctx, "v1"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("progress of what has come: %v", err)
	}
	if _, err := p.to.FetchVolume(ctx, fetch); !model.IsKind(err, model.KindForbidden) {
		t.Errorf("a fetch of what is not offered any more: %v", err)
	}
	for _, n := range []*node{p.to, p.from} {
		if err := n.RemoveVolume(ctx, "v1"); err != nil {
			t.Error(err)
		}
		if holds := n.kernel.Holds(); len(holds) > 0 {
			t.Errorf("a node holds %v", holds)
		}
	}
}

// The new node's agent ends in the middle of a large file: what has come by then
// does not come again.
func TestAFetchOfAVolumeGoesOn(t *testing.T) {
	t.Parallel()
	const total, enough, slack = 16 << 20, 2 << 20, 1 << 20
	p, fetch := newLonePair(t)
	content := make([]byte, total)
	var seed [32]byte
	_, _ = rand.NewChaCha8(seed).Read(content) // it never fails
	p.put(t, "volume", string(content))
	p.offerVolume(t)
	fetch.Rate = 1 << 20 // slow enough to be cut off in time
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	ended := make(chan error, 1)
	go func() {
		_, err := p.to.FetchVolume(ctx, fetch)
		ended <- err
	}()
	come := int64(0)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for come < enough {
		select {
		case err := <-ended:
			t.Fatalf("the fetch ended after %d bytes: %v", come, err)
		case <-tick.C:
		}
		if progress, err := p.to.FetchVolumeProgress(t.Context(), "v1"); err == nil {
			come = progress.Bytes
		}
	}
	cut()
	if err := <-ended; err == nil {
		t.Fatal("the fetch was over before it was cut off")
	}
	p.to.Close()
	p.openTo(p.to.dir, nil)
	fetch.Rate = 0
	rest, err := p.to.FetchVolume(t.Context(), fetch)
	if err != nil || rest.Bytes > total-come+slack {
		t.Errorf("%d of %d bytes had come, and %d came after that: %v", come, total, rest.Bytes, err)
	}
	if got, err := os.ReadFile(volumeFile(p.to)); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes are there, %v", len(got), err)
	}
}

// What is removed while it comes leaves nothing, and its fetch ends.
func TestARemovalEndsAFetch(t *testing.T) {
	t.Parallel()
	p, fetch := newLonePair(t)
	p.put(t, "volume", strings.Repeat("much ", 1<<20))
	p.offerVolume(t)
	fetch.Rate = 64 << 10
	ended := make(chan error, 1)
	go func() {
		_, err := p.to.FetchVolume(t.Context(), fetch)
		ended <- err
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for come := int64(0); come == 0; <-tick.C {
		if progress, err := p.to.FetchVolumeProgress(t.Context(), "v1"); err == nil {
			come = progress.Bytes
		}
	}
	if err := p.to.RemoveVolume(t.Context(), "v1"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the fetch ended well")
	}
	if holds := p.to.kernel.Holds(); len(holds) > 0 {
		t.Errorf("the node holds %v", holds)
	}
}
