package dockerapi

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types"
	"github.com/moby/moby/api/types/events"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

// events streams the account's events, one JSON object a line, each as soon as
// it happens.
func (s *server) events(c *call) error {
	since, until, match, err := c.eventsRequest()
	if err != nil {
		return err
	}
	kind := eventsType(c.version, c.r.Header.Get("Accept"))
	c.w.Header().Set("Content-Type", kind)
	c.w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(c.w).Flush
	flush()
	return s.System.Events(c.ctx(), c.account, since, until, func(e model.Event) error {
		if !match(e) || !c.version.KnowsEvent(e.Type, e.Action) {
			return nil
		}
		line, err := encodeEvent(c.version, e)
		if err != nil {
			return err
		}
		if kind == types.MediaTypeJSONSequence {
			line = append([]byte{0x1e}, line...)
		}
		if _, err := c.w.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("cannot send events: %w", err)
		}
		flush()
		return nil
	})
}

func (c *call) eventsRequest() (since, until time.Time, match func(model.Event) bool, err error) {
	if since, err = c.query.time("since"); err != nil {
		return
	}
	if until, err = c.query.time("until"); err != nil {
		return
	}
	if !since.IsZero() && !until.IsZero() && until.Before(since) {
		err = model.Errorf(model.KindInvalid, "`since` time (%s) cannot be after `until` time (%s)", c.query.Get("since"), c.query.Get("until"))
		return
	}
	f, err := c.query.filters("config", "container", "daemon", "event", "image", "label", "network", "node",
		"plugin", "scope", "secret", "service", "type", "volume")
	return since, until, f.matchEvent, err
}

// eventsType is what the client accepts most of the forms that a stream of
// JSON has; where it names none of them, the stream is called what it always
// was.
func eventsType(v compat.Version, accept string) string {
	if v.Has(compat.EventsAsJSON) {
		return types.MediaTypeJSON
	}
	offers := []string{types.MediaTypeJSONLines, types.MediaTypeNDJSON, types.MediaTypeJSONSequence}
	if v.Has(compat.EventsWithoutLines) {
		offers = offers[1:]
	}
	best, most := types.MediaTypeJSON, 0.0
	for _, offer := range offers {
		if q := acceptance(accept, offer); q > most {
			best, most = offer, q
		}
	}
	return best
}

// acceptance is how much a client likes a media type, from 0 to 1, by what it
// says of it or else of a range that it is in (RFC 9110, section 12.5.1).
func acceptance(accept, mediaType string) float64 {
	family, _, _ := strings.Cut(mediaType, "/")
	q, rank := 0.0, 0
	for part := range strings.SplitSeq(accept, ",") {
		name, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		at := 1 + slices.Index([]string{"*/*", family + "/*", mediaType}, name)
		if at <= rank {
			continue
		}
		q, rank = 1, at
		if text, ok := parameters["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				q = 0
			}
		}
	}
	return q
}

func encodeEvent(v compat.Version, e model.Event) ([]byte, error) {
	attributes := e.Attributes
	if attributes == nil {
		attributes = map[string]string{}
	}
	body, err := json.Marshal(events.Message{
		Type: events.Type(e.Type), Action: events.Action(e.Action), Scope: "local",
		Actor: events.Actor{ID: e.ActorID, Attributes: attributes},
		Time:  e.Time.Unix(), TimeNano: e.Time.UnixNano(),
	})
	if err != nil {
		return nil, fmt.Errorf("cannot encode an event: %w", err)
	}
	return compat.Lower(compat.Events, v, body)
}

// matchEvent reports whether an event passes each of the filters.
func (f filters) matchEvent(e model.Event) bool {
	if want := f["type"]; len(want) > 0 && !slices.Contains(want, e.Type) {
		return false
	}
	if want := f["event"]; len(want) > 0 && !slices.ContainsFunc(want, func(w string) bool {
		return e.Action == w || strings.HasPrefix(e.Action, w+":")
	}) {
		return false
	}
	if want := f["scope"]; len(want) > 0 && !slices.Contains(want, "local") {
		return false
	}
	for _, kind := range []string{"container", "network", "volume", "daemon", "plugin", "service", "node", "secret", "config"} {
		if want := f[kind]; len(want) > 0 && !isActor(e, kind, want) {
			return false
		}
	}
	if want := f["image"]; len(want) > 0 && !ofImage(e, want) {
		return false
	}
	return f.labels("label", e.Attributes)
}

// isActor reports whether an event is about one of the wanted objects, by id, a
// prefix of it, or name.
func isActor(e model.Event, kind string, want []string) bool {
	if e.Type != kind {
		return false
	}
	return slices.ContainsFunc(want, func(w string) bool {
		w = strings.TrimPrefix(w, "/")
		return w != "" && (strings.HasPrefix(e.ActorID, w) || e.Attributes["name"] == w)
	})
}

// ofImage reports whether an event is about one of the images or about a container made
// from one.
func ofImage(e model.Event, want []string) bool {
	name := e.Attributes["image"]
	if e.Type == "image" {
		name = e.Attributes["name"]
	}
	return slices.ContainsFunc(want, func(w string) bool {
		return w == e.ActorID && e.Type == "image" || normalName(w) == normalName(name) || normalName(w) == normalName(repository(name))
	})
}

// repository is the name of an image without its tag or digest.
func repository(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.TrimNamed(named).String()
}
