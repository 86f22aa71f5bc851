package state

import (
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) putImage(cmd command.PutImage) error {
	image := cmd.Image
	if err := checkKey("image id", image.ID); err != nil {
		return err
	}
	holders := slices.Clone(image.Holders)
	if old, ok := t.Image(image.ID); ok {
		holders = append(holders, old.Holders...)
	}
	slices.Sort(holders)
	image.Holders = slices.Compact(holders)
	if err := t.insert(tableImages, &image); err != nil {
		return err
	}
	if cmd.Name.Ref == "" {
		return nil
	}
	return t.putImageName(cmd, &image)
}

func (t *transaction) putImageName(cmd command.PutImage, image *model.Image) error {
	name := cmd.Name
	if err := checkKey("image name", name.Ref); err != nil {
		return err
	}
	a, err := t.account(name.AccountID)
	if err != nil {
		return err
	}
	if name.ImageID != image.ID {
		return model.Errorf(model.KindInvalid, "the name %s is not one of image %s", name.Ref, image.ID)
	}
	actor, shown := image.ID, familiar(name.Ref)
	switch cmd.Action {
	case command.ActionPull, command.ActionPush:
		actor, shown = shown, withoutTag(shown)
	case command.ActionTag, command.ActionLoad, command.ActionImport:
	default:
		return model.Errorf(model.KindInvalid, "unknown action %q on an image", cmd.Action)
	}
	before, had := t.ImageName(name.AccountID, name.Ref)
	if !had {
		if err := checkCount(a.Limits.Images, int64(len(t.ImageNames(a.ID))), "images"); err != nil {
			return err
		}
	}
	if err := t.insert(tableImageNames, &name); err != nil {
		return err
	}
	if !nameless(&name) || cmd.Action != command.ActionTag {
		t.record(model.Event{
			Time: cmd.Time, AccountID: name.AccountID, Type: typeImage, Action: cmd.Action, ActorID: actor,
			Attributes: imageAttributes(image, shown),
		})
	}
	t.touch(name.AccountID)
	if had {
		return t.forgetImage(before.ImageID)
	}
	return nil
}

func (t *transaction) removeImageName(cmd command.RemoveImageName) error {
	name, ok := t.ImageName(cmd.AccountID, cmd.Ref)
	if !ok {
		return model.Errorf(model.KindNotFound, "No such image: %s", cmd.Ref)
	}
	if err := t.delete(tableImageNames, &name); err != nil {
		return err
	}
	image, _ := t.Image(name.ImageID)
	event := model.Event{
		Time: cmd.Time, AccountID: name.AccountID, Type: typeImage, Action: "untag", ActorID: name.ImageID,
		Attributes: imageAttributes(&image, name.ImageID),
	}
	if !nameless(&name) {
		t.record(event)
	}
	left := slices.ContainsFunc(t.NamesOfImage(name.ImageID), func(n *model.ImageName) bool {
		return n.AccountID == name.AccountID
	})
	if !left {
		event.Action = "delete"
		t.record(event)
	}
	return t.forgetImage(name.ImageID)
}

// nameless reports whether a name, which is the image's id, only says that the
// account has the image.
func nameless(n *model.ImageName) bool { return n.Ref == n.ImageID }

func (t *transaction) dropImageHolder(cmd command.DropImageHolder) error {
	image, ok := t.Image(cmd.ImageID)
	if !ok || !slices.Contains(image.Holders, cmd.NodeID) {
		return nil
	}
	return t.dropHolder(image, cmd.NodeID)
}

func (t *transaction) dropHolder(image model.Image, nodeID string) error {
	image.Holders = slices.DeleteFunc(slices.Clone(image.Holders), func(h string) bool { return h == nodeID })
	if err := t.insert(tableImages, &image); err != nil {
		return err
	}
	return t.forgetImage(image.ID)
}

// forgetImage deletes an image that no node holds, no account has a name for
// and no container was made from.
func (t *transaction) forgetImage(id string) error {
	image, ok := t.Image(id)
	if !ok || len(image.Holders) > 0 ||
		exists(t.txn, tableImageNames, indexImage, id) || exists(t.txn, tableContainers, indexImage, id) {
		return nil
	}
	return t.delete(tableImages, &image)
}
