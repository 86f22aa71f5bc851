package image

import (
	"sync"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// rivals knows from where those want a layer who wait until another pull has
// brought it. The zero value is ready.
type rivals struct {
	mu      sync.Mutex
	waiting map[digest.Digest]map[string]int // how many, by layer and registry
}

// wait says that one waits for a layer who would have it from a registry, until
// served is called.
func (r *rivals) wait(layer digest.Digest, from string) (served func()) {
	r.add(layer, from, 1)
	return func() { r.add(layer, from, -1) }
}

func (r *rivals) add(layer digest.Digest, from string, more int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = make(map[digest.Digest]map[string]int)
	}
	if r.waiting[layer] == nil {
		r.waiting[layer] = make(map[string]int)
	}
	if r.waiting[layer][from] += more; r.waiting[layer][from] == 0 {
		delete(r.waiting[layer], from)
	}
	if len(r.waiting[layer]) == 0 {
		delete(r.waiting, layer)
	}
}

// beside reports whether somebody waits for a layer who would have it from
// elsewhere: those who would have it from the same registry are not served
// sooner without this pull.
func (r *rivals) beside(layer digest.Digest, from string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for other := range r.waiting[layer] {
		if other != from {
			return true
		}
	}
	return false
}

// from is the registry that a pull has its layers from, "" for other nodes.
func (p *pull) from() string {
	if p.ref == nil || p.client.Vouched() {
		return ""
	}
	return reference.Domain(p.ref)
}

// contested reports whether others wait for a layer that this pull is bringing.
func (p *pull) contested(layer ocispec.Descriptor) func() bool {
	return func() bool { return p.store.rivals.beside(layer.Digest, p.from()) }
}
