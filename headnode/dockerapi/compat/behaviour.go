package compat

// Behaviour is something that the server does differently for clients of some
// versions and that is no matter of fields.
type Behaviour int

// The behaviours that depend on the version.
const (
	// PlainErrors: errors are a line of text and not JSON.
	PlainErrors Behaviour = iota
	// AnyContentType: bodies are taken as JSON whatever their Content-Type.
	AnyContentType
	// LateWait: a wait sends its headers when the container has ended.
	LateWait
	// RawStreams: framed streams have the media type of raw ones.
	RawStreams
	// StartWithBody: a start may carry an empty or a JSON body.
	StartWithBody
	// EventsAsJSON: events are application/json whatever the client accepts.
	EventsAsJSON
	// FewEvents: clients know events of containers and images only.
	FewEvents
	// EventsWithoutLines: clients do not know application/jsonl.
	EventsWithoutLines
	// CopyByPost: files are copied out of containers by POST …/copy.
	CopyByPost
	// TextSockets: WebSockets carry output as text, and not as binary messages.
	TextSockets
	// WholeSockets: WebSockets join all streams, whatever is asked for.
	WholeSockets
	// NoUpdate: containers cannot be updated.
	NoUpdate
	// NoPrune: nothing can be pruned.
	NoPrune
	// NetworksWithContainers: lists of networks tell which containers are on them.
	NetworksWithContainers
	// NoDistribution: registries cannot be asked about images.
	NoDistribution
	// PruneAllVolumes: a prune of volumes removes those with a name, too.
	PruneAllVolumes
)

// before holds, for each behaviour, the first version that does not show it.
var before = map[Behaviour]Version{
	PlainErrors:        V(24),
	AnyContentType:     V(22),
	LateWait:           V(30),
	RawStreams:         V(42),
	StartWithBody:      V(24),
	EventsAsJSON:       V(52),
	FewEvents:          V(22),
	EventsWithoutLines: V(53),
	CopyByPost:         V(24),
	TextSockets:        V(28),
	WholeSockets:       V(42),
	NoUpdate:           V(22),
	NoPrune:            V(25),

	NetworksWithContainers: V(28),
	NoDistribution:         V(30),
	PruneAllVolumes:        V(42),
}

// Has reports whether clients of version v see behaviour b.
func (v Version) Has(b Behaviour) bool { return v.Before(before[b]) }

// newEvents holds events that older clients know nothing of, by type and
// action, and the first version that has them.
var newEvents = map[[2]string]Version{
	{"container", "prune"}: V(41),
	{"image", "prune"}:     V(41),
	{"network", "prune"}:   V(41),
	{"volume", "prune"}:    V(41),
	{"image", "create"}:    V(46),
}

// KnowsEvent reports whether clients of version v are told of events of this
// type and action.
func (v Version) KnowsEvent(kind, action string) bool {
	if v.Has(FewEvents) && kind != "container" && kind != "image" {
		return false
	}
	since, isNew := newEvents[[2]string{kind, action}]
	return !isNew || !v.Before(since)
}
