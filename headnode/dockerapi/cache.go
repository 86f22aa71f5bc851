package dockerapi

import (
	"reflect"
	"slices"
	"sync"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

// Bounds on what is kept encoded, over all accounts.
const (
	maxCachedLists     = 256
	maxCachedListBytes = 32 << 20
	maxCachedInspects  = 4096
)

// listKey is one question, and listState what its answer depends on.
type (
	listKey struct {
		account string
		query   string
		version compat.Version
	}
	listState struct {
		number uint64 // of the account's containers
		second int64
	}
)

// listCache keeps the last encoded answer to each question.
type listCache struct {
	mu      sync.Mutex
	answers map[listKey]*listAnswer
	bytes   int
}

// listAnswer is locked while it is encoded, so that many clients who ask the
// same at once wait for one encoding.
type listAnswer struct {
	mu    sync.Mutex
	state listState
	body  []byte
	parts listParts
}

// listParts are the encoded containers of an answer. A container that changes
// becomes another one, so that all but the changed ones serve again in the
// next answer.
type listParts map[*model.Container]listPart

// listPart is one container, encoded, and what its encoding depends on beside
// the container.
type listPart struct {
	status   string // its text, which the clock changes
	networks string // names of them
	body     []byte
}

func newListCache() *listCache {
	return &listCache{answers: map[listKey]*listAnswer{}}
}

// get returns the answer to a question. encode makes a new one from the parts of
// the last one, and returns its parts.
func (l *listCache) get(key listKey, state listState, encode func(listParts) ([]byte, listParts, error)) ([]byte, error) {
	answer := l.answer(key)
	answer.mu.Lock()
	defer answer.mu.Unlock()
	if answer.body != nil && answer.state == state {
		return answer.body, nil
	}
	body, parts, err := encode(answer.parts)
	if err != nil {
		return nil, err
	}
	l.account(2 * (len(body) - len(answer.body))) // the body, and again in parts
	answer.body, answer.parts, answer.state = body, parts, state
	return body, nil
}

// answer returns the place of an answer. When there are too many all are
// forgotten: the answers live for a second anyhow.
func (l *listCache) answer(key listKey) *listAnswer {
	l.mu.Lock()
	defer l.mu.Unlock()
	answer, ok := l.answers[key]
	if !ok {
		if len(l.answers) >= maxCachedLists || l.bytes > maxCachedListBytes {
			clear(l.answers)
			l.bytes = 0
		}
		answer = &listAnswer{}
		l.answers[key] = answer
	}
	return answer
}

func (l *listCache) account(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes += bytes
}

// inspectKey is one container as one API version shows it.
type inspectKey struct {
	account string
	id      string
	version compat.Version
	// connected says whether the container's node answers.
	connected bool
}

// inspectCache keeps encoded containers while nothing that can change in one
// has changed. Of a specification that is limits, restart policy and links.
type inspectCache struct {
	mu      sync.Mutex
	answers map[inspectKey]inspectAnswer
}

type inspectAnswer struct {
	of   model.Container
	body []byte
}

func newInspectCache() *inspectCache {
	return &inspectCache{answers: map[inspectKey]inspectAnswer{}}
}

func (i *inspectCache) get(key inspectKey, now *model.Container) ([]byte, bool) {
	i.mu.Lock()
	answer, ok := i.answers[key]
	i.mu.Unlock()
	if !ok || !unchanged(&answer.of, now) {
		return nil, false
	}
	return answer.body, true
}

func (i *inspectCache) put(key inspectKey, of *model.Container, body []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, ok := i.answers[key]; !ok && len(i.answers) >= maxCachedInspects {
		clear(i.answers)
	}
	i.answers[key] = inspectAnswer{of: *of, body: body}
}

func unchanged(a, b *model.Container) bool {
	return a.Name == b.Name && a.NodeID == b.NodeID && a.Package == b.Package && a.Phase == b.Phase && a.State == b.State && reflect.DeepEqual(a.NICs, b.NICs) && slices.Equal(a.GoneNetworks, b.GoneNetworks) && slices.Equal(a.Execs, b.Execs) &&
		a.Spec.Restart == b.Spec.Restart && reflect.DeepEqual(&a.Spec.Limits, &b.Spec.Limits) && reflect.DeepEqual(a.Spec.Links, b.Spec.Links)
}
