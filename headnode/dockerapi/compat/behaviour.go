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
}

// Has reports whether clients of version v see behaviour b.
func (v Version) Has(b Behaviour) bool { return v.Before(before[b]) }
