package images

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
	"github.com/spearheadcloud/spearhead/raftstore/state"
)

// Remove implements dockerapi.Images by Docker's rules: a name takes itself
// away, and with the last one the image goes, unless a container runs on it: it
// stays then, without a name. An id takes all names of one repository, or of
// all when forced.
func (s *Service) Remove(ctx context.Context, a model.Account, ref string, force bool) (dockerapi.RemovedImage, error) {
	v := s.store.View()
	img, err := Find(v, a.ID, ref)
	if err != nil {
		return dockerapi.RemovedImage{}, err
	}
	names := namesOf(v, a.ID, img.ID)
	users := usersOf(v, a.ID, img.ID)
	byName, ok := namedBy(v, a.ID, ref, img.ID)
	if ok {
		err = mayUntag(byName, names, users, img, force)
	} else {
		err = mayDelete(names, users, img, force)
	}
	if err != nil {
		return dockerapi.RemovedImage{}, err
	}
	going := names
	if ok {
		going = []model.ImageName{byName}
	}
	removed, err := s.remove(ctx, a.ID, img.ID, names, going, slices.ContainsFunc(users, running))
	if err == nil {
		s.Sweep(ctx)
	}
	return removed, err
}

// remove takes names of an image away and, with the last of them, what the
// account has of it, unless a container runs on it.
func (s *Service) remove(ctx context.Context, accountID, imageID string, names, going []model.ImageName, runs bool) (dockerapi.RemovedImage, error) {
	last := len(going) == len(names)
	if last && runs {
		if err := s.keep(ctx, s.store.View(), accountID, imageID); err != nil {
			return dockerapi.RemovedImage{}, err
		}
	}
	removed, err := s.untag(ctx, accountID, names, going)
	if err != nil || !last || runs {
		return removed, err
	}
	_, err = s.store.Propose(ctx, command.RemoveImageName{AccountID: accountID, Ref: imageID, Time: time.Now().UTC()})
	if err != nil && !model.IsKind(err, model.KindNotFound) {
		return removed, err
	}
	removed.Deleted = append(removed.Deleted, imageID)
	return removed, nil
}

func running(c *model.Container) bool { return c.State.Status.Running() }

// namedBy returns the name that ref is, if it is a name and not an id.
func namedBy(v *state.View, accountID, ref, imageID string) (model.ImageName, bool) {
	parsed, err := parse(ref)
	if err != nil {
		return model.ImageName{}, false
	}
	n, ok := findName(v, accountID, parsed)
	return n, ok && n.ImageID == imageID
}

func mayUntag(name model.ImageName, names []model.ImageName, users []*model.Container, img model.Image, force bool) error {
	if force || len(names) > 1 || len(users) == 0 {
		return nil
	}
	return model.Errorf(model.KindConflict,
		"conflict: unable to remove repository reference %q (must force) - container %s is using its referenced image %s",
		familiar(name.Ref), model.ShortID(users[0].ID), shortImageID(img.ID))
}

func mayDelete(names []model.ImageName, users []*model.Container, img model.Image, force bool) error {
	if i := slices.IndexFunc(users, running); i >= 0 {
		return model.Errorf(model.KindConflict, "conflict: unable to delete %s (cannot be forced) - image is being used by running container %s",
			shortImageID(img.ID), model.ShortID(users[i].ID))
	}
	if force {
		return nil
	}
	if slices.ContainsFunc(names, func(n model.ImageName) bool { return repository(n.Ref) != repository(names[0].Ref) }) {
		return model.Errorf(model.KindConflict, "conflict: unable to delete %s (must be forced) - image is referenced in multiple repositories", shortImageID(img.ID))
	}
	if len(users) > 0 {
		return model.Errorf(model.KindConflict, "conflict: unable to delete %s (must be forced) - image is being used by stopped container %s",
			shortImageID(img.ID), model.ShortID(users[0].ID))
	}
	return nil
}

// untag removes names and tells, as Docker does, of each name and of the
// digests that went with the last name of their repository.
func (s *Service) untag(ctx context.Context, accountID string, names, going []model.ImageName) (dockerapi.RemovedImage, error) {
	var removed dockerapi.RemovedImage
	now := time.Now().UTC()
	for _, n := range going {
		if _, err := s.store.Propose(ctx, command.RemoveImageName{AccountID: accountID, Ref: n.Ref, Time: now}); err != nil {
			return removed, err
		}
		removed.Untagged = append(removed.Untagged, familiar(n.Ref))
	}
	stays := func(n model.ImageName) bool {
		return slices.ContainsFunc(names, func(o model.ImageName) bool {
			return repository(o.Ref) == repository(n.Ref) && !slices.Contains(going, o)
		})
	}
	for _, n := range going {
		digest := familiar(repository(n.Ref)) + "@" + n.Digest
		if n.Digest != "" && !stays(n) && !slices.Contains(removed.Untagged, digest) {
			removed.Untagged = append(removed.Untagged, digest)
		}
	}
	return removed, nil
}

// Sweep makes nodes forget the images that no account names and no container
// uses. What cannot be done now, because a pull is under way or a node cannot
// be reached, is done by a later sweep. Only the leader sweeps: on another head
// nothing happens, for the leader sees the same images.
func (s *Service) Sweep(ctx context.Context) {
	if s.leads != nil && !s.leads() || !s.anyUnused(s.store.View()) {
		return
	}
	ctx, arriving, release, ok := s.exclude(ctx)
	if !ok {
		s.debts.oweSweep()
		return
	}
	defer release()
	v := s.store.View()
	for _, img := range v.Images() {
		if !unused(v, img) {
			continue
		}
		for _, nodeID := range img.Holders {
			if arriving[nodeID] || ctx.Err() != nil {
				s.debts.oweSweep()
				continue
			}
			err := s.forget(ctx, img.ID, nodeID)
			if err != nil && !model.IsKind(err, model.KindUnavailable) {
				s.log.Warn("cannot remove unused image from node", slog.String("image", img.ID), slog.String("node", nodeID), slog.Any("err", err))
			}
		}
	}
}

// anyUnused reports whether a sweep would have something to do: a node that
// can be reached holds what nobody needs.
func (s *Service) anyUnused(v *state.View) bool {
	return slices.ContainsFunc(v.Images(), func(img *model.Image) bool {
		return unused(v, img) && slices.ContainsFunc(img.Holders, s.agents.Connected)
	})
}

func unused(v *state.View, img *model.Image) bool {
	return len(img.Holders) > 0 && len(v.NamesOfImage(img.ID)) == 0 && len(v.ContainersOfImage(img.ID)) == 0
}

func (s *Service) forget(ctx context.Context, imageID, nodeID string) error {
	err := s.agents.Agent(nodeID).RemoveImage(ctx, imageID)
	if err != nil && !model.IsKind(err, model.KindNotFound) {
		return err
	}
	_, err = s.store.Propose(ctx, command.DropImageHolder{ImageID: imageID, NodeID: nodeID})
	return err
}

// Settle makes the state and a node that has just connected agree on which
// images the node holds: holders that are none are dropped, and images that
// the state does not know are removed from the node.
func (s *Service) Settle(ctx context.Context, nodeID string) error {
	limited, arriving, release, ok := s.exclude(ctx)
	if !ok {
		s.debts.oweSettle(nodeID) // a pull is under way
		return nil
	}
	held, err := s.agents.Agent(nodeID).Images(limited)
	v := s.store.View()
	if err == nil {
		err = s.settle(limited, v, nodeID, held, arriving[nodeID])
	}
	release()
	if err != nil {
		return err
	}
	s.Sweep(ctx)
	return nil
}

func (s *Service) settle(ctx context.Context, v *state.View, nodeID string, held []string, arriving bool) error {
	for _, img := range v.Images() {
		if slices.Contains(img.Holders, nodeID) && !slices.Contains(held, img.ID) {
			if _, err := s.store.Propose(ctx, command.DropImageHolder{ImageID: img.ID, NodeID: nodeID}); err != nil {
				return err
			}
		}
	}
	for _, id := range held {
		img, known := v.Image(id)
		if known && !slices.Contains(img.Holders, nodeID) {
			img.Holders = []string{nodeID}
			if _, err := s.store.Propose(ctx, command.PutImage{Image: img, Action: command.ActionPull, Time: time.Now().UTC()}); err != nil {
				return err
			}
		}
		if known || len(v.ContainersOfImage(id)) > 0 {
			continue
		}
		if arriving {
			s.debts.oweSettle(nodeID)
			continue
		}
		if err := s.agents.Agent(nodeID).RemoveImage(ctx, id); err != nil && !model.IsKind(err, model.KindNotFound) {
			s.log.Warn("cannot remove unknown image from node", slog.String("image", id), slog.String("node", nodeID), slog.Any("err", err))
		}
	}
	return nil
}

// familiar is a normalized reference as users write it.
func familiar(ref string) string {
	n, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return reference.FamiliarString(n)
}

func shortImageID(id string) string { return model.ShortID(strings.TrimPrefix(id, "sha256:")) }
