package images

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/state"
	"github.com/spearheadcloud/spearhead/wire"
)

// Ensure makes a node hold an image that the account has. The node takes it
// from those that hold it and, where they cannot give it, by its digest from
// the registry that the account has it from. The registry must let everybody
// read it then, for credentials are not kept.
func (s *Service) Ensure(ctx context.Context, accountID string, img model.Image, nodeID string) error {
	v := s.store.View()
	if known, ok := v.Image(img.ID); ok {
		img = known
	}
	if slices.Contains(img.Holders, nodeID) {
		return nil
	}
	names := slices.DeleteFunc(v.NamesOfImage(img.ID), func(n *model.ImageName) bool { return n.AccountID != accountID })
	if len(names) == 0 {
		return missing(img.ID)
	}
	return s.copy(ctx, v, img, nodeID, registryRef(names, img))
}

// registryRef is how a registry knows an image by one of its names, or "" if
// none of them is from a registry.
func registryRef(names []*model.ImageName, img model.Image) string {
	at := slices.IndexFunc(names, func(n *model.ImageName) bool { return n.Digest != "" })
	if at < 0 {
		return ""
	}
	return repository(names[at].Ref) + "@" + names[at].Digest
}

// copy has a node take an image from others, or from a registry unless ref is
// empty, and records that it holds it.
func (s *Service) copy(ctx context.Context, v *state.View, img model.Image, nodeID, ref string) error {
	s.bytes.RLock()
	defer s.bytes.RUnlock()
	r := wire.CopyRequest{Image: img, Holders: s.sources(v, img, nodeID), Ref: ref}
	r.Image.Holders = nil
	if len(r.Holders) == 0 && ref == "" {
		return model.Errorf(model.KindUnavailable, "image %s is not at a registry, and no node that holds it can be reached; try again when one is back, or make it again", shortImageID(img.ID))
	}
	stream, err := s.agents.Agent(nodeID).CopyImage(ctx, r)
	if err != nil {
		return err
	}
	defer stream.Close()
	if _, err := follow(stream, func(wire.PullProgress) {}); err != nil {
		return err
	}
	if err := failpoint.Hit("head.copy.made"); err != nil {
		return err
	}
	return s.hold(ctx, nodeID, img)
}

// sources are the nodes that may give parts of an image to another one: in any
// order those that hold it, so that all of them send, and then those that hold
// what it was made from, as a holder may have that unpacked only. Nodes whose
// storage fails come last.
func (s *Service) sources(v *state.View, img model.Image, to string) []wire.Holder {
	ids := slices.Clone(img.Holders)
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for _, other := range v.Images() {
		if len(img.DiffIDs) > 0 && len(other.DiffIDs) > 0 && other.DiffIDs[0] == img.DiffIDs[0] {
			ids = append(ids, other.Holders...)
		}
	}
	var sources []wire.Holder
	for _, id := range s.readers(ids) {
		known := slices.ContainsFunc(sources, func(h wire.Holder) bool { return h.NodeID == id })
		if n, ok := v.Node(id); ok && !known && id != to {
			sources = append(sources, wire.Holder{NodeID: id, Address: n.Address})
		}
	}
	return sources
}
