package volumes

import (
	"context"
	"io"

	"github.com/spearheadcloud/spearhead/model"
)

// Partial returns what SendRest needs to go on with a snapshot that ReceiveStep
// received when its stream broke off, or this process's predecessor ended; "" if
// it has to be received anew.
func (s *Store) Partial(ctx context.Context, id string) (token string, err error) {
	return s.keeper.partial(ctx, id)
}

// DropPartial forgets what Partial tells of.
func (s *Store) DropPartial(ctx context.Context, id string) error {
	return s.with(ctx, id, func() error { return s.keeper.dropPartial(ctx, id) })
}

// partial is of the volume where that is there, else of what lies beside its
// place.
func (d *datasets) partial(ctx context.Context, id string) (string, error) {
	name, err := d.receiving(ctx, id)
	if err != nil {
		return "", err
	}
	return d.tree.ResumeToken(ctx, name)
}

func (d *datasets) dropPartial(ctx context.Context, id string) error {
	name, err := d.receiving(ctx, id)
	if err != nil {
		return err
	}
	return d.tree.DropPartial(ctx, name)
}

// receiving is the dataset that ReceiveStep receives into.
func (d *datasets) receiving(ctx context.Context, id string) (string, error) {
	have, err := d.marks(ctx, id)
	if err != nil || len(have) > 0 {
		return volumeDataset(id), err
	}
	return incomingDataset + "/" + id, nil
}

// clearIncoming destroys what was received beside its place, but for what can
// be gone on with.
func (d *datasets) clearIncoming(ctx context.Context) error {
	found, err := d.tree.Children(ctx, incomingDataset, "used")
	if err != nil {
		return err
	}
	for id := range found {
		token, err := d.tree.ResumeToken(ctx, incomingDataset+"/"+id)
		if err != nil {
			return err
		}
		if token != "" {
			d.halves.Add(id)
			continue
		}
		if err := d.tree.Destroy(ctx, incomingDataset+"/"+id); err != nil {
			return err
		}
	}
	return nil
}

// dropHalf destroys what lies beside the place of a volume.
func (d *datasets) dropHalf(ctx context.Context, id string) error {
	if !d.halves.Has(id) {
		return nil
	}
	if err := d.tree.Destroy(ctx, incomingDataset+"/"+id); err != nil {
		return err
	}
	d.halves.Remove(id)
	return nil
}

// sendRest sends what of a snapshot has not come to another node.
func (d *datasets) sendRest(ctx context.Context, id, name, token string) (io.ReadCloser, error) {
	if name == "" {
		return nil, model.Errorf(model.KindInvalid, "only the stream of a snapshot has a rest")
	}
	return d.tree.SendRest(ctx, volumeDataset(id)+"@"+name, token)
}

func (d *directories) partial(context.Context, string) (string, error) { return "", errPlain }

func (d *directories) dropPartial(context.Context, string) error { return errPlain }

func (d *directories) sendRest(context.Context, string, string, string) (io.ReadCloser, error) {
	return nil, errPlain
}
