package dockerapi

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// TestRelayCarriesAll holds that every byte comes, in order, however it is read.
func TestRelayCarriesAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Byte(), 0, 100_000).Draw(t, "stream")
		var from io.Reader = bytes.NewReader(want)
		switch rapid.IntRange(0, 3).Draw(t, "reader") {
		case 1:
			from = iotest.HalfReader(from)
		case 2:
			from = iotest.DataErrReader(from)
		case 3:
			from = io.MultiReader(iotest.OneByteReader(io.LimitReader(from, 50)), from)
		}
		var got bytes.Buffer
		written := 0 // when it was idle last
		err := relay(&got, from, func() { written = got.Len() }, func() { t.Error("it was ended") })
		if err != nil || !bytes.Equal(got.Bytes(), want) || written != len(want) {
			t.Fatalf("%d of %d bytes, %d when idle: %v", got.Len(), len(want), written, err)
		}
	})
}

func TestRelayTellsWhatEndedIt(t *testing.T) {
	t.Parallel()
	broken := errors.New("the node has gone")
	var got bytes.Buffer
	from := io.MultiReader(bytes.NewReader([]byte("some")), iotest.ErrReader(broken))
	if err := relay(&got, from, func() {}, func() {}); !errors.Is(err, broken) || got.String() != "some" {
		t.Errorf("%q %v", got.String(), err)
	}
}

// refusing takes nothing.
type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestRelayEndsWithItsReader holds that a stream nobody takes is read no more.
func TestRelayEndsWithItsReader(t *testing.T) {
	t.Parallel()
	from, feed := io.Pipe()
	defer feed.Close()
	go feed.Write(bytes.Repeat([]byte("x"), 10*relayBuffer*relayBuffers)) //nolint:errcheck // it is cut off
	if err := relay(refusing{}, from, func() {}, func() { from.Close() }); err != nil {
		t.Error(err)
	}
	if _, err := feed.Write([]byte("more")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the source was not ended: %v", err)
	}
}
