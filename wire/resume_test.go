package wire_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// breaking gives content up to a place and is broken from there on.
type breaking struct {
	io.Reader
	closed *int
}

func (b breaking) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		return n, model.Errorf(model.KindUnavailable, "the connection broke")
	}
	return n, err
}

func (b breaking) Close() error { *b.closed++; return nil }

// A stream that breaks at any byte comes whole, and no byte twice.
func TestAStreamGoesOnWhereItBroke(t *testing.T) {
	t.Parallel()
	content := make([]byte, 100_000)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	for _, every := range []int{1000, 4096, 33_333, 99_999} {
		opened, closed, upTo := 0, 0, 0
		stream, err := wire.Resuming(t.Context(), wire.SendVolumeRequest{Snapshot: "s"}, func(_ context.Context, r wire.SendVolumeRequest) (io.ReadCloser, error) {
			opened++
			upTo += every
			if upTo >= len(content) {
				return wire.Rest(io.NopCloser(bytes.NewReader(content)), r), nil
			}
			return wire.Rest(breaking{bytes.NewReader(content[:upTo]), &closed}, r), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// No pauses: each connection has brought something before it broke.
		got, err := io.ReadAll(stream)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("broken every %d bytes: %d bytes came, %v", every, len(got), err)
		}
		if stream.Close(); closed != opened-1 {
			t.Errorf("%d of %d streams were closed", closed, opened)
		}
	}
}

// What is not the same stream is not gone on with, and what broke for another
// reason is not asked for again.
func TestAStreamThatIsAnother(t *testing.T) {
	t.Parallel()
	closed := 0
	first := true
	open := func(_ context.Context, r wire.SendVolumeRequest) (io.ReadCloser, error) {
		if first {
			first = false
			return breaking{bytes.NewReader([]byte("one thing")), &closed}, nil
		}
		return wire.Rest(io.NopCloser(bytes.NewReader([]byte("quite another thing"))), r), nil
	}
	stream, err := wire.Resuming(t.Context(), wire.SendVolumeRequest{Snapshot: "s"}, open)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(stream); !model.IsKind(err, model.KindConflict) || string(got) != "one thing" {
		t.Errorf("%q, %v", got, err)
	}
	first = true
	moment, err := wire.Resuming(t.Context(), wire.SendVolumeRequest{}, open)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(moment); !model.IsKind(err, model.KindUnavailable) || string(got) != "one thing" {
		t.Errorf("the files of a moment: %q, %v", got, err)
	}
}
