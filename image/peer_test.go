package image_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/model"
)

// trick is a peer that does something to what another one sends.
type trick struct {
	image.Peer
	change func(digest string, offset, size int64, r io.ReadCloser) (int64, io.ReadCloser, error)

	mu   sync.Mutex
	sent map[string]int64 // bytes that were read of each part
}

func (p *trick) Blob(ctx context.Context, digest string, offset int64) (int64, io.ReadCloser, error) {
	size, r, err := p.Peer.Blob(ctx, digest, offset)
	if err != nil {
		return 0, nil, err
	}
	if p.change != nil {
		size, r, err = p.change(digest, offset, size, r)
	}
	if err != nil {
		return 0, nil, err
	}
	return size, &tally{ReadCloser: r, peer: p, digest: digest}, nil
}

type tally struct {
	io.ReadCloser
	peer   *trick
	digest string
}

func (r *tally) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.peer.mu.Lock()
	defer r.peer.mu.Unlock()
	if r.peer.sent == nil {
		r.peer.sent = map[string]int64{}
	}
	r.peer.sent[r.digest] += int64(n)
	return n, err
}

func (p *trick) total() (sum int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.sent {
		sum += n
	}
	return sum
}

type wrapped struct {
	io.Reader
	io.Closer
}

var errCut = model.Errorf(model.KindUnavailable, "the connection is cut")

// cutAfter is a peer whose connections break after so many bytes.
func cutAfter(p image.Peer, n int64) *trick {
	return &trick{Peer: p, change: func(_ string, _, size int64, r io.ReadCloser) (int64, io.ReadCloser, error) {
		return size, wrapped{io.MultiReader(io.LimitReader(r, n), failing{}), r}, nil
	}}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCut }

// lying is a peer that sends other bytes of the right number.
func lying(p image.Peer) *trick {
	return &trick{Peer: p, change: func(_ string, _, size int64, r io.ReadCloser) (int64, io.ReadCloser, error) {
		return size, wrapped{inverted{r}, r}, nil
	}}
}

type inverted struct{ io.Reader }

func (r inverted) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	for i := range n {
		b[i] ^= 0xff
	}
	return n, err
}

// deaf is a peer that cannot be reached.
type deaf struct{}

func (deaf) Blob(context.Context, string, int64) (int64, io.ReadCloser, error) { return 0, nil, errCut }

// holder is a store that holds the image of threeLayers, whose registry is gone.
func holder(t *testing.T) (*image.Store, model.Image) {
	t.Helper()
	layers, config := threeLayers(t)
	layers = append(layers, bigLayer(t))
	config.History = append(config.History, ocispec.History{CreatedBy: "noise"})
	return holderOf(t, layers, config)
}

func holderOf(t *testing.T, layers []imagetest.Layer, config ocispec.Image) (*image.Store, model.Image) {
	t.Helper()
	registry := imagetest.StartRegistry(t)
	push(t, registry, "three:1", layers, config)
	s := open(t, image.Config{Root: storeDir(t)})
	return s, pull(t, s, registry+"/three:1")
}

func TestImageIsCopiedFromWhoeverHoldsIt(t *testing.T) {
	needRoot(t)
	source, img := holder(t)
	forEachStorage(t, func(t *testing.T, cfg image.Config) {
		s := open(t, cfg)
		first, second := &trick{Peer: source}, &trick{Peer: source}
		r := image.CopyRequest{Image: img, Peers: []image.Peer{deaf{}, first, second}}
		got, isNew, err := s.Copy(t.Context(), r, nil)
		if err != nil || !isNew || got.ID != img.ID || got.Digest != img.Digest || got.Size != img.Size {
			t.Fatalf("copied %s of %s, %d bytes, new %t, error %v", got.ID, got.Digest, got.Size, isNew, err)
		}
		if first.total() == 0 || second.total() == 0 {
			t.Errorf("the peers sent %d and %d bytes: not both were asked", first.total(), second.total())
		}
		checkTree(t, mounted(t, s, "c1", img.ID))
		if _, isNew, err := s.Copy(t.Context(), image.CopyRequest{Image: img}, nil); err != nil || isNew {
			t.Errorf("the second copy: new %t, error %v", isNew, err)
		}
		// What was copied can be copied on.
		third := open(t, image.Config{Root: storeDir(t)})
		if _, _, err := third.Copy(t.Context(), image.CopyRequest{Image: img, Peers: []image.Peer{s}}, nil); err != nil {
			t.Errorf("copy of a copy: %v", err)
		}
	})
}

func TestCopyGoesOnWhereAPeerBrokeOff(t *testing.T) {
	needRoot(t)
	t.Parallel()
	source, img := holder(t)
	s := open(t, image.Config{Root: storeDir(t)})
	broken, whole := cutAfter(source, 300<<10), &trick{Peer: source}
	if _, _, err := s.Copy(t.Context(), image.CopyRequest{Image: img, Peers: []image.Peer{broken, whole}}, nil); err != nil {
		t.Fatal(err)
	}
	usage := int64(0)
	for digest := range whole.sent {
		size, r, err := source.Blob(t.Context(), digest, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		usage += size
	}
	if got := broken.total() + whole.total(); got > usage+usage/2 {
		t.Errorf("%d bytes were sent of %d: parts did not go on where they broke off", got, usage)
	}

	// One that breaks off again and again is enough, as long as it comes on.
	alone := open(t, image.Config{Root: storeDir(t)})
	if _, _, err := alone.Copy(t.Context(), image.CopyRequest{Image: img, Peers: []image.Peer{cutAfter(source, 600<<10)}}, nil); err != nil {
		t.Error(err)
	}
}

func TestWrongBytesOfAPeerAreNotTaken(t *testing.T) {
	needRoot(t)
	t.Parallel()
	source, img := holder(t)
	s := open(t, image.Config{Root: storeDir(t)})
	short := &trick{Peer: source, change: func(_ string, _, size int64, r io.ReadCloser) (int64, io.ReadCloser, error) {
		return size - 1, r, nil
	}}
	r := image.CopyRequest{Image: img, Peers: []image.Peer{lying(source), short, lying(source)}}
	if _, _, err := s.Copy(t.Context(), r, nil); !model.IsKind(err, model.KindUnavailable) {
		t.Fatalf("only liars hold it: %v", err)
	}
	r.Peers = append(r.Peers, source)
	if _, _, err := s.Copy(t.Context(), r, nil); err != nil {
		t.Fatal(err)
	}
	checkTree(t, mounted(t, s, "c1", img.ID))
}

func TestRegistryGivesWhatNoPeerHas(t *testing.T) {
	needRoot(t)
	t.Parallel()
	up := true
	f := newFake(t, func(w http.ResponseWriter, _ *http.Request) bool {
		if !up {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return !up
	})
	source := open(t, image.Config{Root: storeDir(t)})
	img := pull(t, source, f.ref())
	at := strings.TrimSuffix(f.ref(), ":1") + "@" + img.Digest
	manifestOnly := &trick{Peer: source, change: func(digest string, _, size int64, r io.ReadCloser) (int64, io.ReadCloser, error) {
		if digest != img.Digest {
			r.Close()
			return 0, nil, model.Errorf(model.KindNotFound, "the node does not hold it")
		}
		return size, r, nil
	}}
	for name, peers := range map[string][]image.Peer{"a part is missing": {manifestOnly}, "all are away": {deaf{}}, "there is none": nil} {
		s := open(t, image.Config{Root: storeDir(t)})
		if _, _, err := s.Copy(t.Context(), image.CopyRequest{Image: img, Peers: peers, Ref: at}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	up = false
	s := open(t, image.Config{Root: storeDir(t)})
	_, _, err := s.Copy(t.Context(), image.CopyRequest{Image: img, Peers: []image.Peer{deaf{}}, Ref: at}, nil)
	if text := model.UserText(err); !model.IsKind(err, model.KindUnavailable) || !strings.Contains(text, "none of the nodes") || !strings.Contains(text, "registry") {
		t.Errorf("nobody has it: %v", err)
	}
	_, _, err = s.Copy(t.Context(), image.CopyRequest{Image: img}, nil)
	if text := model.UserText(err); !model.IsKind(err, model.KindUnavailable) || !strings.Contains(text, "no node") {
		t.Errorf("nobody is asked: %v", err)
	}
	if ids, err := s.List(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("the store holds %v, error %v", ids, err)
	}
}

func TestCopyEndsWithItsContext(t *testing.T) {
	needRoot(t)
	t.Parallel()
	source, img := holder(t)
	s := open(t, image.Config{Root: storeDir(t)})
	ctx, cancel := context.WithCancel(t.Context())
	silent := &trick{Peer: source, change: func(_ string, _, size int64, r io.ReadCloser) (int64, io.ReadCloser, error) {
		cancel()
		return size, wrapped{blocked{ctx}, r}, nil
	}}
	if _, _, err := s.Copy(ctx, image.CopyRequest{Image: img, Peers: []image.Peer{silent}}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// blocked sends nothing until its context ends.
type blocked struct{ ctx context.Context }

func (b blocked) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func TestContentIsGivenByItsDigestOnly(t *testing.T) {
	needRoot(t)
	t.Parallel()
	source, img := holder(t)
	for name, want := range map[string]model.Kind{
		"sha256:" + strings.Repeat("0", 64): model.KindNotFound, "../metadata.db": model.KindInvalid, "": model.KindInvalid,
	} {
		if _, _, err := source.Blob(t.Context(), name, 0); !model.IsKind(err, want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, _, err := source.Blob(t.Context(), img.Digest, 1<<40); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("behind the end: %v", err)
	}
}
