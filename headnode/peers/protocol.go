package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// The paths of the protocol. A change that cannot be made by adding fields
// gets a new version.
const (
	pathPropose   = "/v1/propose"
	pathReadIndex = "/v1/read-index"
	pathReserve   = "/v1/reserve"
	pathWorking   = "/v1/working"
	pathHold      = "/v1/images/hold"
	pathHeads     = "/v1/heads/"
	pathHash      = "/v1/hash"
	pathFindings  = "/v1/findings"
	pathBuilds    = "/v1/builds/cancel"
)

// forward is the parameter by which a registration is handed on to the leader.
const forward = "forward"

// Limits of what either side takes from the other, in bytes.
const (
	maxProposal = 33 << 20 // more than raftstore lets into its log
	maxMessage  = 8 << 20
)

// holdLimit is how long a head lets another one hold up its images, should
// that not say when it is done.
const holdLimit = 30 * time.Second

// ErrAgain says that the head that was asked has not refused: it does not lead,
// went away, or does not know what became of the request. What is harmless to
// repeat may be asked again of the head that leads then.
var ErrAgain = errors.New("the head that was asked could not settle it")

// Proposed is what became of a command that the heads have agreed on.
type Proposed struct {
	// Index is an entry of the log; a head that has applied it shows why.
	Index uint64 `json:"index"`
	// Refused is the command's own error; nothing has changed then.
	Refused *wire.ErrorBody `json:"refused,omitempty"`
}

// Reserved is what came of a reservation.
type Reserved struct {
	Container model.Container `json:"container"`
	// Index is an entry of the log; a head that has applied it shows the
	// reservation.
	Index uint64 `json:"index"`
}

// failure is the body of an answer that is none.
type failure struct {
	wire.ErrorBody
	Again bool `json:"again,omitempty"`
}

func (f failure) err() error {
	if f.Again {
		return model.WrapError(model.KindUnavailable, ErrAgain, "%s", f.Text)
	}
	return f.Err()
}

// held is the one line of an answer to pathHold, before it falls silent.
type held struct {
	Arriving []string `json:"arriving"` // nodes that are being sent archives
}

type readIndex struct {
	Index uint64 `json:"index"`
}

type working struct {
	IDs []string `json:"ids"`
}

type cancelBuild struct {
	AccountID string `json:"account_id"`
	ID        string `json:"id"`
}

// none is the body of calls and answers that have none.
type none struct{}

// decode reads one JSON value of at most limit bytes.
func decode(r io.Reader, limit int64, v any) error {
	if _, empty := v.(*none); empty {
		return nil
	}
	limited := &io.LimitedReader{R: r, N: limit + 1}
	d := json.NewDecoder(limited)
	err := d.Decode(v)
	if limited.N <= 0 {
		return model.Errorf(model.KindTooLarge, "the message is longer than %d bytes", limit)
	}
	if err != nil {
		return model.WrapError(model.KindInvalid, err, "the message is not of the expected form; are both heads of the same release?")
	}
	return nil
}

func statusOf(f failure) int {
	switch {
	case f.Again, f.Kind == model.KindUnavailable:
		return http.StatusServiceUnavailable
	case f.Kind == model.KindInternal:
		return http.StatusInternalServerError
	}
	return http.StatusConflict // who reads logs finds the kind in the body
}

func headPath(id string) (string, error) {
	if id == "" {
		return "", errors.New("the head has no id")
	}
	return fmt.Sprintf("%s%s", pathHeads, id), nil
}
