package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spearheadcloud/spearhead/internal/failpoint"
	"github.com/spearheadcloud/spearhead/internal/treesync"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// arrival is a container, or a volume alone, that comes to the node.
type arrival struct {
	generation int
	bytes      atomic.Int64 // that have come
	files      atomic.Int64

	turn   chan struct{} // holds one while nobody fetches
	ending context.Context
	cancel context.CancelFunc
	once   sync.Once

	// What follows is for who has the turn.
	mu      sync.Mutex
	pullers map[string]*treesync.Puller // by directory
	last    map[string]string           // snapshot that has come, by volume
}

func newArrival(generation int) *arrival {
	a := &arrival{generation: generation, turn: make(chan struct{}, 1), pullers: map[string]*treesync.Puller{}, last: map[string]string{}}
	a.ending, a.cancel = context.WithCancel(context.Background())
	a.turn <- struct{}{}
	return a
}

// puller is the one of a directory, which remembers what has come.
func (a *arrival) puller(dir string) *treesync.Puller {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.pullers[dir]
	if p == nil {
		p = treesync.NewPuller(dir)
		a.pullers[dir] = p
	}
	return p
}

// lastSnapshot is that of a volume that this agent has brought last, "" if it is
// not known.
func (a *arrival) lastSnapshot(volume string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last[volume]
}

func (a *arrival) setLastSnapshot(volume, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last[volume] = name
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

var errArrivalOver = model.Errorf(model.KindConflict, "what was to come to this node does not come any more")

// end ends a fetch that is under way and waits until it has ended.
func (a *arrival) end() {
	a.once.Do(func() {
		a.cancel()
		<-a.turn
	})
}

// FetchProgress implements wire.Agent.
func (a *Agent) FetchProgress(_ context.Context, id string) (wire.Fetched, error) {
	return a.moves.progress(id, "container")
}

// progress is how much has come of what comes.
func (m *moves) progress(id, what string) (wire.Fetched, error) {
	comes := m.arrival(id)
	if comes == nil {
		return wire.Fetched{}, model.Errorf(model.KindNotFound, "%s %s does not come to this node", what, id)
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
	f := &fetch{agent: a, id: c.ID, comes: comes, from: client, pace: newPace(r.Rate)}
	before := comes.bytes.Load()
	if err := f.all(ctx, r.Create.Volumes); err != nil {
		return wire.Fetched{}, fetchError(err)
	}
	return wire.Fetched{Bytes: comes.bytes.Load() - before, Files: int(f.files.Load())}, failpoint.Hit("agent/fetch-done")
}

// fetchError gives what has no kind the one that lets the caller try again.
func fetchError(err error) error {
	var told *model.Error
	if errors.As(err, &told) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return model.WrapError(model.KindUnavailable, err, "the files could not be copied to the end")
}

// fetch is one FetchContainer or FetchVolume.
type fetch struct {
	agent *Agent
	id    string // of the container, or of the volume that moves alone
	comes *arrival
	from  wire.Origin
	pace  *pace
	files atomic.Int64
}

// partsAtOnce are copied at a time: small ones, of which most wait for a disk,
// are not to make a container that is down wait for each other.
const partsAtOnce = 4

// all copies all parts of the container.
func (f *fetch) all(ctx context.Context, volumes []wire.VolumeRef) error {
	parts, ctx := errgroup.WithContext(ctx)
	parts.SetLimit(partsAtOnce)
	for _, v := range volumes {
		parts.Go(func() error {
			if err := f.volume(ctx, v); err != nil {
				return fmt.Errorf("cannot copy a volume: %w", err)
			}
			return nil
		})
	}
	parts.Go(func() error { return f.root(ctx) })
	parts.Go(func() error { return f.log(ctx) })
	return parts.Wait()
}

func (f *fetch) root(ctx context.Context) error {
	root, form, err := f.agent.drivers.Images.Tree(ctx, f.id)
	if err != nil {
		return err
	}
	return f.tree(ctx, partRoot+form, root)
}

func (f *fetch) log(ctx context.Context) error {
	log := f.agent.drivers.Runtime.LogDir(f.id)
	if err := os.MkdirAll(log, 0o700); err != nil {
		return fmt.Errorf("cannot copy a log: %w", err)
	}
	return f.tree(ctx, partLog, log)
}

// tree makes a directory what a part of what comes is.
func (f *fetch) tree(ctx context.Context, part, dir string) error {
	p := f.comes.puller(dir)
	p.Progress = func(n int) { f.comes.bytes.Add(int64(n)) }
	stats, err := p.Pull(ctx, &offeredPart{fetch: f, part: part})
	f.files.Add(int64(stats.Files))
	f.comes.files.Add(int64(stats.Files))
	return err
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

// offeredPart is a part of what comes as a treesync.Source.
type offeredPart struct {
	*fetch
	part string
}

func (o *offeredPart) List(ctx context.Context) (io.ReadCloser, error) {
	return o.from.OfferedTree(ctx, o.id, o.part)
}

func (o *offeredPart) Read(ctx context.Context, wants []treesync.Want) (io.ReadCloser, error) {
	stream, err := o.from.OfferedFiles(ctx, o.id, o.part, wants)
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

// pace holds a copy to a rate, all of its parts together.
type pace struct {
	rate  int64 // bytes a second; 0 is without limit
	began time.Time
	bytes atomic.Int64
}

func newPace(rate int64) *pace { return &pace{rate: rate, began: time.Now()} }

// wait returns when n more bytes are due.
func (p *pace) wait(ctx context.Context, n int) error {
	if p.rate <= 0 {
		return nil
	}
	come := p.bytes.Add(int64(n))
	early := time.Duration(float64(come)/float64(p.rate)*float64(time.Second)) - time.Since(p.began)
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
