package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/common"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

// Status maps a kind of error to an HTTP status, for all that users call.
//
// KindExhausted is 503 and neither 409 nor 500: clients take a 409 of create
// for a name in use, look the name up and try again at once, and take a 500 for
// a defect. 503 says what is true: the same request can succeed when
// something was removed.
func Status(k model.Kind) int {
	switch k {
	case model.KindInvalid:
		return http.StatusBadRequest
	case model.KindUnauthenticated:
		return http.StatusUnauthorized
	case model.KindForbidden:
		return http.StatusForbidden
	case model.KindNotFound:
		return http.StatusNotFound
	case model.KindConflict:
		return http.StatusConflict
	case model.KindTooLarge:
		return http.StatusRequestEntityTooLarge
	case model.KindNotModified:
		return http.StatusNotModified
	case model.KindNotImplemented:
		return http.StatusNotImplemented
	case model.KindUnavailable, model.KindExhausted:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// fail answers with err, unless the answer was begun already.
func (s *server) fail(c *call, w *response, err error) {
	kind := model.KindOf(err)
	gone := errors.Is(err, context.Canceled) && c.ctx().Err() != nil
	if kind == model.KindInternal && !gone {
		s.Logger.Error("request failed", "op", string(c.route), "account", c.account.Login, "request", c.id, "err", err)
	} else {
		s.Logger.Debug("request refused", "op", string(c.route), "account", c.account.Login, "request", c.id, "err", err)
	}
	if w.begun {
		return
	}
	if gone {
		// Whoever asked has gone, or this head is going. To say nothing would be
		// an empty success.
		c.broken = true
		return
	}
	if c.r.Body != nil && c.r.Body != http.NoBody {
		// Else the server would first wait for the rest of the body, whose
		// sender may be slow, or silent.
		w.Header().Set("Connection", "close")
		defer c.drain(w)
	}
	code := Status(kind)
	if code == http.StatusNotModified {
		w.WriteHeader(code)
		return
	}
	writeError(w, c.version, code, errorText(err, c.id))
}

// drain sends the answer, and then takes what the client still sends for a
// while: many look for an answer only when all is sent, and closing the
// connection under their hands would make the kernel throw the answer away.
func (c *call) drain(w *response) {
	w.Flush()
	if http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		io.Copy(io.Discard, c.r.Body)
	}
}

// errorText is what the user reads: an internal error names its request, by which
// the operator finds the cause in the log.
func errorText(err error, requestID string) string {
	text := model.UserText(err)
	if model.KindOf(err) == model.KindInternal {
		text += " (request " + requestID + ")"
	}
	return text
}

func writeError(w http.ResponseWriter, v compat.Version, code int, text string) {
	kind, body := "text/plain; charset=utf-8", []byte(text)
	if !v.Has(compat.PlainErrors) {
		var err error
		if body, err = json.Marshal(common.ErrorResponse{Message: text}); err != nil {
			body = []byte(`{"message":"internal error"}`)
		}
		kind = "application/json"
	}
	body = append(body, '\n')
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body))) // so that its end is seen at once
	w.WriteHeader(code)
	w.Write(body)
}
