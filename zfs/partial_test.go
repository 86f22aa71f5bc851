package zfs_test

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// keepingZFS acts as OpenZFS does with streams that break off: what has come
// stays, a token tells how much, and the rest is sent by it. A stream is whole
// when it ends with END.
const keepingZFS = `
part=DIR/$(echo "$last" | tr / _)
case "$*" in
"get -Hp -o value receive_resume_token tank") echo - ;;
"get -Hp -o value receive_resume_token "*)
	[ -e "$part.part" ] || { [ -e "$part" ] && { echo -; exit; }; echo "cannot open '$last': dataset does not exist" >&2; exit 1; }
	printf '1-a-b-%x\n' $(stat -c %s "$part.part") ;;
"receive -u -F -s "*)
	cat >> "$part.part"
	[ "$(tail -c 3 "$part.part")" = END ] || { echo 'cannot receive: incomplete stream' >&2; exit 1; }
	mv "$part.part" "$part" ;;
"receive -A "*) rm "$part.part" ;;
"send -nvt 2-"*) printf '\ttoname = tank/from@one\n\ttoguid = 0xfe\n' ;;
"send -nvt "*) printf 'resume token contents:\nnvlist version: 0\n\tobject = 0x1\n\ttoname = tank/from@one\n\ttoguid = 0xff\n' ;;
"get -Hp -o value guid "*) echo 255 ;;
"send -t "*) tail -c +$((0x${last##*-} + 1)) DIR/stream ;;
"send "*) cat DIR/stream ;;
*) echo "what is $*?" >&2; exit 1 ;;
esac`

// broken is a stream that breaks off after so many bytes.
func broken(stream io.Reader, after int64) io.Reader {
	return io.MultiReader(io.LimitReader(stream, after), brokenReader{})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) {
	return 0, model.Errorf(model.KindUnavailable, "the connection broke")
}

// A stream that breaks off at any byte is gone on with there.
func TestStreamsAreGoneOnWith(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := patientProgram(t, time.Minute, "last=$(eval echo \\${$#})\n"+strings.ReplaceAll(keepingZFS, "DIR", dir))
	whole := bytes.Repeat([]byte("some of a stream; "), 40_000)
	whole = append(whole, "END"...)
	if err := os.WriteFile(filepath.Join(dir, "stream"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		goOn(t, p, fmt.Sprint("to", round))
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprint("tank_to", round)))
		if err != nil || !bytes.Equal(got, whole) {
			t.Errorf("%d of %d bytes have come, %v", len(got), len(whole), err)
		}
	}
}

// goOn receives a stream that breaks at random bytes until it is whole.
func goOn(t *testing.T, p *zfs.Pool, name string) {
	t.Helper()
	ctx := t.Context()
	for first := true; ; first = false {
		token, err := p.ResumeToken(ctx, name)
		if err != nil || (token == "") != first {
			t.Fatalf("the token is %q, %v", token, err)
		}
		var stream io.ReadCloser
		if first {
			stream, err = p.Send(ctx, "from@one", "")
		} else {
			stream, err = p.SendRest(ctx, "from@one", token)
		}
		if err != nil {
			t.Fatal(err)
		}
		err = p.ReceiveKept(ctx, name, broken(stream, 1+rand.Int64N(200_000)))
		stream.Close()
		if err == nil {
			t.Fatal("a stream that broke was received")
		}
		if !model.IsKind(err, model.KindUnavailable) {
			// The rest was shorter than that, and whole: but who reads it does not know.
			t.Fatalf("a stream that broke is %v", err)
		}
		if token, err := p.ResumeToken(ctx, name); err == nil && token == "" {
			return
		}
	}
}

func TestHalfAStreamIsForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := patientProgram(t, time.Minute, "last=$(eval echo \\${$#})\n"+strings.ReplaceAll(keepingZFS, "DIR", dir))
	ctx := t.Context()
	if err := p.ReceiveKept(ctx, "to", strings.NewReader("half")); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("half a stream: %v", err)
	}
	if token, err := p.ResumeToken(ctx, "to"); err != nil || token != "1-a-b-4" {
		t.Errorf("its token is %q, %v", token, err)
	}
	for range 2 {
		if err := p.DropPartial(ctx, "to"); err != nil {
			t.Error(err)
		}
	}
	if token, err := p.ResumeToken(ctx, "to"); err != nil || token != "" {
		t.Errorf("after that its token is %q, %v", token, err)
	}
}

// A token is made by who asks: it may be of what was not offered.
func TestTokensOfOtherSnapshots(t *testing.T) {
	t.Parallel()
	p := patientProgram(t, time.Minute, "last=$(eval echo \\${$#})\n"+strings.ReplaceAll(keepingZFS, "DIR", t.TempDir()))
	for _, c := range []struct {
		snapshot, token string
		want            model.Kind
	}{
		{"other@one", "1-a-b-4", model.KindConflict}, {"from@one", "2-a-b-4", model.KindConflict}, // another name, another number
		{"from@one", "-R", model.KindInvalid}, {"from@one", "", model.KindInvalid}, {"from@one", "1-a-b-4 x", model.KindInvalid},
		{"from", "1-a-b-4", model.KindInvalid},
	} {
		if _, err := p.SendRest(t.Context(), c.snapshot, c.token); !model.IsKind(err, c.want) {
			t.Errorf("%s, token %q: %v", c.snapshot, c.token, err)
		}
	}
}

// On the ZFS that is here a stream goes on where it broke, if that keeps what has come, or
// else begins anew; and what came of another snapshot is never gone on with.
func TestBrokenStreamsArriveWhole(t *testing.T) {
	t.Parallel()
	d := fusepooltest.Start(t, poolSize)
	p, ctx := openPool(t, d), t.Context()
	dir, err := p.Create(ctx, "from", nil)
	if err != nil {
		t.Fatal(err)
	}
	sent := make([]byte, 4<<20)
	_, _ = crand.Read(sent)
	write(t, filepath.Join(dir, "file"), string(sent))
	for _, snapshot := range []string{"from@one", "from@two"} {
		if err := p.Snapshot(ctx, snapshot); err != nil {
			t.Fatal(err)
		}
	}
	keeps := exec.CommandContext(ctx, "zfs", "version").Run() == nil // which zfs-fuse does not know
	kept := 0
	for _, part := range []int64{0, 100, 1 << 20, 1 << 20, 1 << 20} {
		if keptToken(t, p) {
			kept++
		}
		if err := receiveRest(t, p, part); !model.IsKind(err, model.KindUnavailable) || errors.Is(err, context.Canceled) {
			t.Errorf("a stream that breaks after %d bytes: %v", part, err)
		}
	}
	if keeps != (kept > 0) {
		t.Errorf("%d times something was kept of a stream", kept)
	}
	if err := receiveRest(t, p, -1); err != nil {
		t.Fatal(err)
	}
	if dir, err = p.Mount(ctx, "to"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes have come, %v", len(got), err)
	}
	if keptToken(t, p) {
		t.Error("all has come, and yet there is something to go on with")
	}
	if err := p.DropPartial(ctx, "to"); err != nil {
		t.Error(err)
	}
}

// keptToken tells whether there is something to go on with, which must be of from@one.
func keptToken(t *testing.T, p *zfs.Pool) bool {
	t.Helper()
	token, err := p.ResumeToken(t.Context(), "to")
	if err != nil {
		t.Fatal(err)
	}
	if token == "" {
		return false
	}
	if stream, err := p.SendRest(t.Context(), "from@two", token); !model.IsKind(err, model.KindConflict) {
		t.Errorf("a token of another snapshot: %v, %v", stream, err)
	}
	return true
}

// receiveRest receives from@one, or the rest of it, from a stream that breaks after so many
// bytes, or from a whole one if that is negative.
func receiveRest(t *testing.T, p *zfs.Pool, after int64) error {
	t.Helper()
	token, err := p.ResumeToken(t.Context(), "to")
	if err != nil {
		t.Fatal(err)
	}
	var stream io.ReadCloser
	if token == "" {
		stream, err = p.Send(t.Context(), "from@one", "")
	} else {
		stream, err = p.SendRest(t.Context(), "from@one", token)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if after < 0 {
		return p.ReceiveKept(t.Context(), "to", stream)
	}
	return p.ReceiveKept(t.Context(), "to", broken(stream, after))
}
