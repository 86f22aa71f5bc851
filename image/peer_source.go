package image

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// peers is a source of the parts of an image: other nodes and, behind them, a
// registry.
type peers struct {
	target   ocispec.Descriptor // of the manifest, without its size
	all      []Peer
	registry source // nil if none is known

	mu      sync.Mutex
	turn    int                     // who is asked first for the next part
	failed  map[int]bool            // peers that broke off; they are asked last
	liars   map[int]bool            // peers that sent wrong bytes; they are not asked
	senders map[digest.Digest][]int // who sent something of a part
}

func newPeers(r CopyRequest) *peers {
	return &peers{
		target: ocispec.Descriptor{MediaType: r.Image.MediaType, Digest: digest.Digest(r.Image.Digest)},
		all:    r.Peers,
		failed: make(map[int]bool), liars: make(map[int]bool), senders: make(map[digest.Digest][]int),
	}
}

// Resolve implements source: the manifest is known, its size is not.
func (p *peers) Resolve(ctx context.Context) (ocispec.Descriptor, error) {
	found := &peerReader{ctx: ctx, from: p, desc: p.target, anySize: true}
	defer found.Close()
	err := found.open()
	if err == nil {
		return found.desc, nil
	}
	if p.registry == nil || ctx.Err() != nil {
		return p.target, err
	}
	// An account may have the image from there by another manifest, or by an
	// index: which image it leads to is looked at in the end.
	desc, err := p.registry.Resolve(ctx)
	if err != nil {
		return desc, p.nowhere(ctx, err)
	}
	return desc, nil
}

// Fetch implements source. The reader goes from peer to peer by itself.
func (p *peers) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	r := &peerReader{ctx: ctx, from: p, desc: desc}
	if err := r.open(); err != nil {
		if p.registry == nil || ctx.Err() != nil {
			return nil, err
		}
		opened, err := p.registry.Fetch(ctx, desc)
		if err != nil {
			return nil, p.nowhere(ctx, err)
		}
		return opened, nil
	}
	return r, nil
}

// Vouched implements source: only a head asks for copies, of what an account has.
func (p *peers) Vouched() bool { return true }

// Explain implements source.
func (p *peers) Explain(err error) error {
	var typed *model.Error
	switch {
	case errors.As(err, &typed), errors.Is(err, context.Canceled):
		return err
	case p.registry != nil:
		return p.registry.Explain(err)
	}
	return model.WrapError(model.KindUnavailable, err, "the nodes that hold the image broke off; try again")
}

// nowhere tells that neither a peer nor the registry gives a part.
func (p *peers) nowhere(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return model.WrapError(model.KindUnavailable, err, "%s, and its registry does not give it without credentials: %s", p.unreached(), model.UserText(p.Explain(err)))
}

// nobody tells that no peer gives a part.
func (p *peers) nobody(cause error) error {
	return model.WrapError(model.KindUnavailable, cause, "%s; try again when one of them is back, or pull or make the image again", p.unreached())
}

func (p *peers) unreached() string {
	if len(p.all) == 0 {
		return "no node that can be reached holds the image"
	}
	return "none of the nodes that hold the image can be reached and has all of it"
}

// order lists whom to ask for a part, those that never failed first. Each part
// begins with another one, so that all of them send.
func (p *peers) order() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var first, last []int
	for i := range p.all {
		at := (p.turn + i) % len(p.all)
		switch {
		case p.liars[at]:
		case p.failed[at]:
			last = append(last, at)
		default:
			first = append(first, at)
		}
	}
	p.turn++
	return append(first, last...)
}

func (p *peers) fail(peer int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed[peer] = true
}

func (p *peers) lied(peer int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.liars[peer] = true
}

func (p *peers) sends(part digest.Digest, peer int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.senders[part], peer) {
		p.senders[part] = append(p.senders[part], peer)
	}
}

// distrust leaves out, from now on, all who sent something of a part, and
// reports whether there were any.
func (p *peers) distrust(part digest.Digest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := false
	for _, peer := range p.senders[part] {
		news = news || !p.liars[peer]
		p.liars[peer] = true
	}
	delete(p.senders, part)
	return news
}
