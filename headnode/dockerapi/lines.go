package dockerapi

import (
	"encoding/json"
	"net/http"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/spearheadcloud/spearhead/wire"
)

// line is one line of an answer that tells how work goes on. Docker has named
// progress and error twice ever since 2013, and clients read the one or the
// other.
type line struct {
	Stream         string               `json:"stream,omitempty"`
	Status         string               `json:"status,omitempty"`
	ProgressDetail *jsonstream.Progress `json:"progressDetail,omitempty"`
	Progress       string               `json:"progress,omitempty"`
	ID             string               `json:"id,omitempty"`
	ErrorDetail    *jsonstream.Error    `json:"errorDetail,omitempty"`
	Error          string               `json:"error,omitempty"`
	Aux            any                  `json:"aux,omitempty"`
}

// lines is such an answer. Until it has begun, an error is the answer's status;
// from then on it is the last line.
type lines struct {
	c     *call
	first line // before all others, unless it is empty
	begun bool
}

func (l *lines) begin() {
	if l.begun {
		return
	}
	l.begun = true
	l.c.w.Header().Set("Content-Type", "application/json")
	l.c.w.WriteHeader(http.StatusOK)
	if l.first != (line{}) {
		l.write(l.first)
	}
}

// write writes one line; a client that has gone is noticed elsewhere.
func (l *lines) write(next line) {
	l.begin()
	body, err := json.Marshal(next)
	if err != nil {
		return // strings and numbers always encode
	}
	l.c.w.Write(append(body, '\r', '\n'))
	http.NewResponseController(l.c.w).Flush()
}

// layer tells of a step of one layer.
func (l *lines) layer(step wire.PullProgress) {
	next := line{Status: step.Status, ID: step.Layer, ProgressDetail: &jsonstream.Progress{}}
	if step.Current > 0 || step.Total > 0 {
		next.ProgressDetail.Current, next.ProgressDetail.Total = step.Current, step.Total
		next.Progress = progressText(step.Current, step.Total)
	}
	l.write(next)
}

// end returns what the handler returns; err may be nil.
func (l *lines) end(err error) error {
	if err != nil && l.begun {
		text := errorText(err, l.c.id)
		l.write(line{ErrorDetail: &jsonstream.Error{Message: text}, Error: text})
	}
	if err == nil {
		l.begin()
	}
	return err
}

// progressText is a bar for clients that have none of their own.
func progressText(current, total int64) string {
	if total <= 0 || current > total {
		return units.HumanSize(float64(current))
	}
	const width = 50
	bar := make([]byte, width)
	done := int(float64(current) / float64(total) * width)
	for i := range bar {
		switch {
		case i < done:
			bar[i] = '='
		case i == done:
			bar[i] = '>'
		default:
			bar[i] = ' '
		}
	}
	return "[" + string(bar) + "]  " + units.HumanSize(float64(current)) + "/" + units.HumanSize(float64(total))
}
