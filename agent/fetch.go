package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/treesync"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// arrival is a container that comes to the node.
type arrival struct {
	generation int
	bytes      atomic.Int64 // that have come
	files      atomic.Int64

	turn   chan struct{} // holds one while nobody fetches
	ending context.Context
	cancel context.CancelFunc
	once   sync.Once

	// What follows is for who has the turn.
	pullers map[string]*treesync.Puller // by directory
	last    map[string]string           // snapshot that has come, by volume; none is not known
}

func newArrival(generation int) *arrival {
	a := &arrival{generation: generation, turn: make(chan struct{}, 1), pullers: map[string]*treesync.Puller{}, last: map[string]string{}}
	a.ending, a.cancel = context.WithCancel(context.Background())
	a.turn <- struct{}{}
	return a
}

// begin waits for the turn to fetch; what it returns ends with ctx and with the
// arrival.
func (a *arrival) begin(ctx context.Context) (context.Context, func(), error) {
	select {
	case <-a.turn:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-a.ending.Done():
		return nil, nil, errArrivalOver
	}
	ctx, cancel := context.WithCancel(ctx)
	unbind := context.AfterFunc(a.ending, cancel)
	return ctx, func() {
		unbind()
		cancel()
		a.turn <- struct{}{}
	}, nil
}

var errArrivalOver = model.Errorf(model.KindConflict, "the container does not come to this node any more")

// end ends a fetch that is under way and waits until it has ended.
func (a *arrival) end() {
	a.once.Do(func() {
		a.cancel()
		<-a.turn
	})
}

// FetchProgress implements wire.Agent.
func (a *Agent) FetchProgress(_ context.Context, id string) (wire.Fetched, error) {
	comes := a.moves.arrival(id)
	if comes == nil {
		return wire.Fetched{}, model.Errorf(model.KindNotFound, "container %s does not come to this node", id)
	}
	return wire.Fetched{Bytes: comes.bytes.Load(), Files: int(comes.files.Load())}, nil
}

// FetchContainer implements wire.Agent.
func (a *Agent) FetchContainer(ctx context.Context, r wire.FetchRequest) (wire.Fetched, error) {
	c := &r.Create.Container
	if !model.IsID(c.ID) {
		return wire.Fetched{}, model.Errorf(model.KindInvalid, "invalid container id %.80q", c.ID)
	}
	if a.nodeID != "" && c.NodeID != a.nodeID || a.peer == nil || r.From.NodeID == a.nodeID {
		return wire.Fetched{}, model.Errorf(model.KindConflict, "container %s does not come to this node", c.ID)
	}
	comes := a.moves.arrivalOf(c.ID, c.Generation)
	ctx, end, err := comes.begin(ctx)
	if err != nil {
		return wire.Fetched{}, err
	}
	defer end()
	t, err := a.getOrNew(c.ID)
	if err != nil {
		return wire.Fetched{}, err
	}
	if err := t.Come(ctx, r.Create); err != nil {
		return wire.Fetched{}, err
	}
	if err := failpoint.Hit("agent/fetch-begun"); err != nil {
		return wire.Fetched{}, err
	}
	client := a.peer(r.From)
	defer client.Close()
	f := &fetch{agent: a, request: &r, comes: comes, from: client, pace: newPace(r.Rate)}
	before := comes.bytes.Load()
	if err := f.all(ctx); err != nil {
		return wire.Fetched{}, fetchError(err)
	}
	return wire.Fetched{Bytes: comes.bytes.Load() - before, Files: f.files}, failpoint.Hit("agent/fetch-done")
}

// fetchError gives what has no kind the one that lets the caller try again.
func fetchError(err error) error {
	var told *model.Error
	if errors.As(err, &told) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return model.WrapError(model.KindUnavailable, err, "the container's files could not be copied to the end")
}

// fetch is one FetchContainer.
type fetch struct {
	agent   *Agent
	request *wire.FetchRequest
	comes   *arrival
	from    wire.Origin
	pace    *pace
	files   int
}

// all copies all parts of the container, one after the other.
func (f *fetch) all(ctx context.Context) error {
	id := f.request.Create.Container.ID
	root, form, err := f.agent.drivers.Images.Tree(ctx, id)
	if err != nil {
		return err
	}
	if err := f.tree(ctx, partRoot+form, root); err != nil {
		return err
	}
	for _, v := range f.request.Create.Volumes {
		if err := f.volume(ctx, v); err != nil {
			return fmt.Errorf("cannot copy a volume: %w", err)
		}
	}
	log := f.agent.drivers.Runtime.LogDir(id)
	if err := os.MkdirAll(log, 0o700); err != nil {
		return fmt.Errorf("cannot copy a log: %w", err)
	}
	return f.tree(ctx, partLog, log)
}

// tree makes a directory what a part of the container is.
func (f *fetch) tree(ctx context.Context, part, dir string) error {
	p := f.comes.pullers[dir]
	if p == nil {
		p = treesync.NewPuller(dir)
		f.comes.pullers[dir] = p
	}
	p.Progress = func(n int) { f.comes.bytes.Add(int64(n)) }
	stats, err := p.Pull(ctx, &offeredPart{fetch: f, part: part})
	f.files += stats.Files
	f.comes.files.Add(int64(stats.Files))
	return err
}

// volume copies a volume: by its snapshots where both nodes have such, so that
// these come along, else as a tree of files.
func (f *fetch) volume(ctx context.Context, v wire.VolumeRef) error {
	base, err := f.base(ctx, v)
	var there []string
	if err == nil {
		there, err = f.from.OfferedSnapshots(ctx, f.request.Create.Container.ID, v.ID)
	}
	if err == nil {
		return f.steps(ctx, v, base, there)
	}
	if !model.IsKind(err, model.KindNotImplemented) {
		return err
	}
	if err := f.agent.drivers.Volumes.Create(ctx, v); err != nil {
		return err
	}
	dir, err := f.agent.drivers.Volumes.Data(ctx, v.ID)
	if err != nil {
		return err
	}
	return f.tree(ctx, partVolume+v.ID, dir)
}

// base is the last snapshot that has come, "" for none. The storage is asked
// only where this agent has not brought it: a container that is down waits.
func (f *fetch) base(ctx context.Context, v wire.VolumeRef) (string, error) {
	if last := f.comes.last[v.ID]; last != "" {
		return last, nil
	}
	have, err := f.agent.drivers.Volumes.Marks(ctx, v.ID)
	if err != nil || len(have) == 0 {
		return "", err
	}
	return have[len(have)-1], nil
}

// steps brings the snapshots that are missing here, each as what changed since
// the one before it.
func (f *fetch) steps(ctx context.Context, v wire.VolumeRef, base string, there []string) error {
	if base != "" {
		at := slices.Index(there, base)
		if at < 0 {
			return model.Errorf(model.KindConflict, "a snapshot of the volume was removed while it is moved; the move begins anew")
		}
		there = there[at+1:]
	}
	known := f.comes.last[v.ID] != ""
	delete(f.comes.last, v.ID)
	if !known && len(there) > 0 {
		came, err := f.rest(ctx, v, base, there[0])
		if err != nil {
			return err
		}
		if came {
			base, there = there[0], there[1:]
		}
	}
	for _, name := range there {
		if err := f.step(ctx, v, base != "", wire.SendVolumeRequest{Snapshot: name, Base: base}); err != nil {
			return err
		}
		base = name
	}
	f.comes.last[v.ID] = base
	return nil
}

// step brings one snapshot, or the rest of it, onto what is here or for a
// beginning.
func (f *fetch) step(ctx context.Context, v wire.VolumeRef, onto bool, r wire.SendVolumeRequest) error {
	stream, err := wire.Resuming(ctx, r, func(ctx context.Context, r wire.SendVolumeRequest) (io.ReadCloser, error) {
		return f.from.OfferedStream(ctx, f.request.Create.Container.ID, v.ID, r)
	})
	if err != nil {
		return err
	}
	defer stream.Close()
	return f.agent.drivers.Volumes.ReceiveStep(ctx, v.ID, wire.ReceiveVolumeRequest{Size: v.Size, Onto: onto}, f.counted(ctx, stream))
}

// rest brings what is missing of a snapshot whose beginning came before its
// stream broke off, or this agent's predecessor was killed, and reports whether
// it did. Where that cannot be gone on with it is forgotten.
func (f *fetch) rest(ctx context.Context, v wire.VolumeRef, base, snapshot string) (came bool, err error) {
	token, err := f.agent.drivers.Volumes.Partial(ctx, v.ID)
	if err != nil || token == "" {
		return false, err
	}
	err = f.step(ctx, v, base != "", wire.SendVolumeRequest{Snapshot: snapshot, Token: token})
	if err == nil || ctx.Err() != nil || model.IsKind(err, model.KindUnavailable) {
		return err == nil, err
	}
	f.agent.log.Warn("cannot go on with half a snapshot of a volume; it comes anew", "op", "fetch", "container", f.request.Create.Container.ID, "err", err)
	return false, f.agent.drivers.Volumes.DropPartial(ctx, v.ID)
}

// counted counts what is read of a stream, and holds it to the rate.
func (f *fetch) counted(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		f.comes.bytes.Add(int64(n))
		if waited := f.pace.wait(ctx, n); waited != nil {
			err = waited
		}
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// offeredPart is a part of the container as a treesync.Source.
type offeredPart struct {
	*fetch
	part string
}

func (o *offeredPart) List(ctx context.Context) (io.ReadCloser, error) {
	return o.from.OfferedTree(ctx, o.request.Create.Container.ID, o.part)
}

func (o *offeredPart) Read(ctx context.Context, wants []treesync.Want) (io.ReadCloser, error) {
	stream, err := o.from.OfferedFiles(ctx, o.request.Create.Container.ID, o.part, wants)
	if err != nil {
		return nil, err
	}
	paced := readerFunc(func(b []byte) (int, error) {
		n, err := stream.Read(b)
		if waited := o.pace.wait(ctx, n); waited != nil {
			err = waited
		}
		return n, err
	})
	return struct {
		io.Reader
		io.Closer
	}{paced, stream}, nil
}

// pace holds a copy to a rate. It belongs to one goroutine.
type pace struct {
	rate  int64 // bytes a second; 0 is without limit
	began time.Time
	bytes int64
}

func newPace(rate int64) *pace { return &pace{rate: rate, began: time.Now()} }

// wait returns when n more bytes are due.
func (p *pace) wait(ctx context.Context, n int) error {
	if p.rate <= 0 {
		return nil
	}
	p.bytes += int64(n)
	early := time.Duration(float64(p.bytes)/float64(p.rate)*float64(time.Second)) - time.Since(p.began)
	if early <= 0 {
		return nil
	}
	timer := time.NewTimer(early)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
