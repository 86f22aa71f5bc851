package images

import (
	"cmp"
	"context"
	"hash/fnv"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

const (
	nearlyFull     = 85 // percent of a disk
	relieveTimeout = time.Minute
)

// relieve has nodes whose disks are nearly full give up the packed layers of
// images that others have, too. It is one image at a time in the whole data
// center: two holders must not both count on the other.
func (sp *spreader) relieve(ctx context.Context, v *state.View) {
	for _, n := range v.Nodes() {
		if !sp.full(n) {
			delete(sp.shed, n.ID)
			continue
		}
		img, ok := sp.burden(v, n.ID)
		if !ok {
			continue
		}
		if sp.shed[n.ID] == nil {
			sp.shed[n.ID] = map[string]bool{}
		}
		sp.shed[n.ID][img.ID] = true
		r := wire.CopyRequest{Image: img, Holders: sp.s.sources(v, img, n.ID)}
		r.Image.Holders = nil
		ctx, cancel := context.WithTimeout(ctx, relieveTimeout)
		freed, err := sp.s.agents.Agent(n.ID).ShedImage(ctx, r)
		cancel()
		log := sp.s.log.With(slog.String("node", n.ID), slog.String("image", img.ID))
		if err != nil {
			log.Warn("a node's disk is nearly full and it cannot give up packed layers", slog.Any("err", err))
			continue
		}
		log.Info("a node's disk is nearly full; it was asked to give up packed layers", slog.Int64("bytes", freed))
	}
}

func (sp *spreader) full(n *model.Node) bool {
	if sp.s.load == nil || !sp.s.agents.Connected(n.ID) {
		return false
	}
	l, ok := sp.s.load(n.ID)
	return ok && l.Free.Disk < n.Info.Capacity.Disk/100*(100-nearlyFull)
}

// burden is the largest image of a node that it was not yet asked about and
// that another node can give and is to keep.
func (sp *spreader) burden(v *state.View, nodeID string) (burden model.Image, ok bool) {
	for _, img := range v.Images() {
		elsewhere := false
		here := false
		for _, id := range img.Holders {
			here = here || id == nodeID
			elsewhere = elsewhere || id != nodeID && sp.s.agents.Connected(id)
		}
		if here && elsewhere && keeper(img) != nodeID && !sp.shed[nodeID][img.ID] && (!ok || img.Size > burden.Size) {
			burden, ok = *img, true
		}
	}
	return burden, ok
}

// keeper is the one of an image's holders that does not give up its packed
// layers: a layer that a node has for another image too goes with that one. It
// is the same however often it is asked for, and each node is that of some images.
func keeper(img *model.Image) string {
	return slices.MinFunc(img.Holders, func(a, b string) int {
		return cmp.Or(cmp.Compare(lot(img.ID, a), lot(img.ID, b)), cmp.Compare(a, b))
	})
}

func lot(imageID, nodeID string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, imageID+nodeID) // which never fails
	return h.Sum64()
}
