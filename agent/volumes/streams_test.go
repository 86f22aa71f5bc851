package volumes_test

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// stream reads what a volume is sent as.
func (b *bed) stream(t *testing.T, id string, r wire.SendVolumeRequest) []byte {
	t.Helper()
	s, err := b.Send(t.Context(), id, r)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// told checks that an error is of a kind and says a text to its user.
func told(t *testing.T, what string, err error, kind model.Kind, want string) {
	t.Helper()
	if !model.IsKind(err, kind) || !strings.Contains(model.UserText(err), want) {
		t.Errorf("%s: %v; want %v with %q", what, err, kind, want)
	}
}

// Who sends what cannot be received, or asks for what cannot be sent, is told
// which of the many reasons it is, and nothing comes of it.
func TestStreamsThatDoNotFitAreTold(t *testing.T) {
	t.Parallel()
	b := pooled(t)
	ctx, dir := t.Context(), b.make(t, "v", 0)
	for _, snapshot := range []string{"first", "second"} {
		write(t, filepath.Join(dir, snapshot), strings.Repeat(snapshot, 1<<20))
		if err := b.Snapshot(ctx, "v", snapshot); err != nil {
			t.Fatal(err)
		}
	}
	whole := b.stream(t, "v", wire.SendVolumeRequest{Snapshot: "first"})
	changes := b.stream(t, "v", wire.SendVolumeRequest{Snapshot: "second", Base: "first"})
	for what, c := range map[string]struct {
		stream []byte
		size   int64
		kind   model.Kind
		want   string
	}{
		"no stream at all": {stream: bytes.Repeat([]byte("no stream "), 1000), kind: model.KindInvalid, want: "no stream of a volume"},
		"changes alone":    {stream: changes, kind: model.KindInvalid, want: "receive first what comes before it"},
		"its first bytes":  {stream: whole[:100], kind: model.KindInvalid, want: "ends too early; send it again"},
		"the half":         {stream: whole[:len(whole)/2], kind: model.KindInvalid, want: "ends too early; send it again"},
		"too small a size": {stream: whole, size: 1 << 20, kind: model.KindConflict, want: "which is more than 1MiB"},
	} {
		told(t, what, b.Receive(ctx, "copy", wire.ReceiveVolumeRequest{Size: c.size}, bytes.NewReader(c.stream)), c.kind, c.want)
	}
	if left, err := b.pool.Children(ctx, "incoming", "used"); err != nil || len(left) > 0 {
		t.Errorf("half of anything left: %v, %v", left, err)
	}
	if err := b.Receive(ctx, "copy", wire.ReceiveVolumeRequest{}, bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	onto := wire.ReceiveVolumeRequest{Onto: true}
	if err := b.Receive(ctx, "copy", onto, bytes.NewReader(changes)); err != nil {
		t.Fatal(err)
	}
	if err := b.Receive(ctx, "copy", onto, bytes.NewReader(changes)); err != nil { // OpenZFS sees that it has them, and leaves all as it is
		told(t, "the same changes again", err, model.KindInvalid, "not the newest one here")
	}
	told(t, "a whole stream as changes", b.Receive(ctx, "copy", onto, bytes.NewReader(whole)), model.KindInvalid, "receive it under a new name")
	holds(t, filepath.Join(b.data(t, "copy"), "second"), strings.Repeat("second", 1<<20))

	write(t, filepath.Join(b.make(t, "bare", 0), "file"), "precious")
	told(t, "a whole stream onto what has no snapshot", b.Receive(ctx, "bare", onto, bytes.NewReader(whole)), model.KindConflict, "no snapshot that changes could follow")
	holds(t, filepath.Join(b.data(t, "bare"), "file"), "precious")

	for what, c := range map[string]struct {
		ask  wire.SendVolumeRequest
		kind model.Kind
		want string
	}{
		"no such snapshot": {wire.SendVolumeRequest{Snapshot: "third"}, model.KindNotFound, "has no snapshot third"},
		"no such base":     {wire.SendVolumeRequest{Base: "third"}, model.KindNotFound, "has no snapshot third"},
		"a newer base":     {wire.SendVolumeRequest{Snapshot: "first", Base: "second"}, model.KindInvalid, "second is not older than first"},
		"its own base":     {wire.SendVolumeRequest{Snapshot: "first", Base: "first"}, model.KindInvalid, "first is not older than first"},
	} {
		s, err := b.Send(ctx, "v", c.ask)
		told(t, what, err, c.kind, c.want)
		if err == nil {
			s.Close()
		}
	}
}
