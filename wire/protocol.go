package wire

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// The protocol on the connection. Every call is one request; its arguments
// and its answer are JSON. The paths begin with a version of the protocol, so
// that a change which cannot be made by adding fields gets a new one.
const (
	pathPrefix = "/v1"
	// upgradeName is what attach and exec connections turn into.
	upgradeName = "spearhead-stream"

	contentJSON  = "application/json"
	contentLines = "application/x-ndjson"
	contentRaw   = "application/octet-stream"

	// statHeader tells, in the answer to a read of an archive, what it is of.
	statHeader = "Spearhead-Path-Stat"
	// errorTrailer follows a content that could not be sent to its end, with
	// an ErrorBody.
	errorTrailer = "Spearhead-Error"
	// sizeHeader tells, in the answer to a call for a blob, how long all of it is.
	sizeHeader = "Spearhead-Size"
	// blobsPath is the one place where nodes may call each other.
	blobsPath = "/blobs/"
	// requestParameter holds the arguments of a call whose body is a stream.
	requestParameter = "request"
)

// Limits of what either side takes from the other, in bytes.
const (
	maxRequest  = 8 << 20
	maxResponse = 64 << 20
	maxLine     = 16 << 20
)

// signOfLife is how often a stream of messages says something, and
// lifeTimeout how long its reader believes a silent one.
const (
	signOfLife  = 2 * time.Second
	lifeTimeout = 10 * time.Second
)

// streamBuffer is the size of the pieces in which streams are copied: several
// TLS records, so that a copy costs few system calls.
const streamBuffer = 64 << 10

// journalLine is one line of a journal's stream. The first has the epoch.
type journalLine struct {
	Epoch   string               `json:"epoch,omitempty"`
	Entries []model.JournalEntry `json:"entries,omitempty"`
	Error   *ErrorBody           `json:"error,omitempty"`
}

// statusOf says which HTTP status accompanies an error. Clients decide by the
// kind in the body; the status is for those who read logs of the traffic.
var statusOf = map[model.Kind]int{
	model.KindInvalid:         http.StatusBadRequest,
	model.KindNotFound:        http.StatusNotFound,
	model.KindConflict:        http.StatusConflict,
	model.KindNotModified:     http.StatusConflict, // a 304 could carry no text
	model.KindForbidden:       http.StatusForbidden,
	model.KindUnauthenticated: http.StatusUnauthorized,
	model.KindUnavailable:     http.StatusServiceUnavailable,
	model.KindExhausted:       http.StatusInsufficientStorage,
	model.KindNotImplemented:  http.StatusNotImplemented,
	model.KindTooLarge:        http.StatusRequestEntityTooLarge,
	model.KindInternal:        http.StatusInternalServerError,
}

// NewErrorBody makes the wire form of err: its kind and the text that a user
// may read. The cause stays where it happened.
func NewErrorBody(err error) *ErrorBody {
	return &ErrorBody{Kind: model.KindOf(err), Text: model.UserText(err)}
}

// Err returns the error that b tells of, or nil for a nil b.
func (b *ErrorBody) Err() error {
	if b == nil {
		return nil
	}
	if _, known := statusOf[b.Kind]; !known {
		return model.Errorf(model.KindInternal, "%s", b.Text)
	}
	return model.Errorf(b.Kind, "%s", b.Text)
}

// decodeBody reads exactly one JSON value of at most limit bytes into v.
func decodeBody(r io.Reader, limit int64, v any) error {
	limited := &io.LimitedReader{R: r, N: limit + 1}
	d := json.NewDecoder(limited)
	if err := d.Decode(v); err != nil {
		if limited.N <= 0 {
			return model.Errorf(model.KindTooLarge, "the message is longer than %d bytes", limit)
		}
		return model.WrapError(model.KindInvalid, err, "the message is not valid JSON of the expected form")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		if limited.N <= 0 {
			return model.Errorf(model.KindTooLarge, "the message is longer than %d bytes", limit)
		}
		return model.Errorf(model.KindInvalid, "the message goes on after its end")
	}
	return nil
}
