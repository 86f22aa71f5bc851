package volumes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/agent/volumes"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// keeping is a pool that keeps what has come of a stream that breaks off, as
// OpenZFS does and zfs-fuse does not: in a file, until it is whole.
type keeping struct {
	*zfs.Pool
	halves string
	base   string // of the stream that was sent last; OpenZFS has it in the token
	sent   int64
}

func (k *keeping) half(name string) string {
	return filepath.Join(k.halves, strings.ReplaceAll(name, "/", "_"))
}

func (k *keeping) Send(ctx context.Context, snapshot, base string) (io.ReadCloser, error) {
	k.base = base
	return k.SendRest(ctx, snapshot, "0")
}

func (k *keeping) SendRest(ctx context.Context, snapshot, token string) (io.ReadCloser, error) {
	stream, err := k.Pool.Send(ctx, snapshot, k.base)
	if err != nil {
		return nil, err
	}
	offset, err := strconv.ParseInt(token, 10, 64)
	if err == nil {
		_, err = io.CopyN(io.Discard, stream, offset)
	}
	return stream, err
}

func (k *keeping) ReceiveKept(ctx context.Context, name string, stream io.Reader) error {
	file, err := os.OpenFile(k.half(name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	n, err := io.Copy(file, stream)
	k.sent += n
	if err != nil {
		return fmt.Errorf("cannot receive stream: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := k.Pool.Receive(ctx, name, file); err != nil {
		return err
	}
	return os.Remove(k.half(name))
}

func (k *keeping) ResumeToken(_ context.Context, name string) (string, error) {
	st, err := os.Stat(k.half(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(st.Size(), 10), nil
}

func (k *keeping) DropPartial(_ context.Context, name string) error {
	return os.RemoveAll(k.half(name))
}

func (k *keeping) Destroy(ctx context.Context, name string) error {
	return errors.Join(os.RemoveAll(k.half(name)), k.Pool.Destroy(ctx, name))
}

func (k *keeping) Children(ctx context.Context, parent, property string) (map[string]string, error) {
	all, err := k.Pool.Children(ctx, parent, property)
	found, _ := filepath.Glob(k.half(parent) + "_*")
	for _, half := range found {
		all = maps.Clone(all)
		if all == nil {
			all = map[string]string{}
		}
		all[strings.TrimPrefix(half, k.half(parent)+"_")] = "0"
	}
	return all, err
}

// onKeeping keeps volumes on a tree of datasets of its own.
func onKeeping(t *testing.T, command []string, dataset string) (*bed, *keeping) {
	t.Helper()
	pool, err := zfs.Open(t.Context(), zfs.Config{Dataset: dataset, Command: command})
	if err != nil {
		t.Fatal(err)
	}
	k := &keeping{Pool: pool, halves: t.TempDir()}
	b := &bed{config: volumes.Config{StateDir: t.TempDir(), RunDir: filepath.Join(t.TempDir(), "run"), Datasets: k}, pool: pool}
	b.open(t)
	return b, k
}

// breaking is a stream that breaks off after so many bytes.
func breaking(stream io.Reader, after int64) io.Reader {
	return io.MultiReader(io.LimitReader(stream, after), readerFunc(func([]byte) (int, error) {
		return 0, model.Errorf(model.KindUnavailable, "the connection broke")
	}))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// A volume that moves here, whose streams break off at random bytes with an end
// of the agent each time, is what it was there in the end; and nothing has come
// twice.
func TestReceivesGoOn(t *testing.T) {
	t.Parallel()
	command := fusepooltest.Start(t, 512<<20).Command()
	from, _ := onKeeping(t, command, "spearhead/from")
	to, kept := onKeeping(t, command, "spearhead/to")
	ctx := t.Context()
	dir := from.make(t, "v1", 0)
	var marks []string
	var want string
	for round, base := 0, ""; round < 2; round++ {
		want = strings.Repeat(fmt.Sprint("round ", round, "; "), 30_000)
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if marks, err = from.Mark(ctx, "v1"); err != nil {
			t.Fatal(err)
		}
		bring(t, from, to, wire.SendVolumeRequest{Snapshot: marks[round], Base: base})
		base = marks[round]
	}
	if have, err := to.Marks(ctx, "v1"); err != nil || !slices.Equal(have, marks) {
		t.Errorf("%v have come of %v, %v", have, marks, err)
	}
	if got, err := os.ReadFile(filepath.Join(to.data(t, "v1"), "file")); err != nil || string(got) != want {
		t.Errorf("%d of %d bytes have come, %v", len(got), len(want), err)
	}
	if kept.sent > int64(4*len(want)) {
		t.Errorf("%d bytes were sent of two times %d", kept.sent, len(want))
	}
}

// bring has a snapshot received by one agent after the other.
func bring(t *testing.T, from, to *bed, r wire.SendVolumeRequest) {
	t.Helper()
	ctx, onto := t.Context(), wire.ReceiveVolumeRequest{Onto: r.Base != ""}
	for try := 0; ; try++ {
		stream, err := from.Send(ctx, "v1", r)
		if err != nil {
			t.Fatal(err)
		}
		if try > 2 { // and at last it does not break
			err = to.ReceiveStep(ctx, "v1", onto, stream)
		} else {
			err = to.ReceiveStep(ctx, "v1", onto, breaking(stream, rand.Int64N(100_000)))
		}
		stream.Close()
		if err == nil {
			return
		}
		if try > 2 || !model.IsKind(err, model.KindUnavailable) {
			t.Fatal(err)
		}
		to.open(t)
		token, err := to.Partial(ctx, "v1")
		if err != nil || token == "" {
			t.Fatalf("half a stream is not kept: %q, %v", token, err)
		}
		r = wire.SendVolumeRequest{Snapshot: r.Snapshot, Token: token}
	}
}

// What has come of a volume that comes after all no more goes with it.
func TestHalvesGoWithTheirVolume(t *testing.T) {
	t.Parallel()
	b, k := onKeeping(t, fusepooltest.Start(t, 512<<20).Command(), "spearhead/node")
	ctx := t.Context()
	for _, agents := range []int{1, 2} {
		err := b.ReceiveStep(ctx, "v1", wire.ReceiveVolumeRequest{}, breaking(strings.NewReader("half of a stream"), 8))
		if !model.IsKind(err, model.KindUnavailable) {
			t.Fatal(err)
		}
		if agents == 2 {
			b.open(t)
		}
		if err := b.Remove(ctx, "v1"); err != nil {
			t.Error(err)
		}
		if left, err := k.Children(ctx, "incoming", "used"); err != nil || len(left) > 0 {
			t.Errorf("after its removal there is %v, %v", left, err)
		}
	}
}
