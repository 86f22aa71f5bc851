package accountapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// maxBody bounds a request's JSON, in bytes: a rule's text is the longest part.
const maxBody = 64 << 10

// decode reads a request's one JSON value. A field that the type lacks is an
// error, for what is misspelt must not be ignored.
func decode[T any](c *call) (T, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, maxBody))
	var large *http.MaxBytesError
	var v T
	switch {
	case errors.As(err, &large):
		return v, model.Errorf(model.KindTooLarge, "the request's body is too large: at most %d bytes are allowed", maxBody)
	case err != nil:
		return v, model.WrapError(model.KindInvalid, err, "cannot read the request's body")
	}
	return decodeText[T](string(body))
}

func decodeText[T any](text string) (T, error) {
	var v T
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, faultOf(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, model.Errorf(model.KindInvalid, "invalid JSON: something follows the request's value")
	}
	return v, nil
}

// faultOf names what is wrong with a body.
func faultOf(err error) error {
	var typed *json.UnmarshalTypeError
	if errors.As(err, &typed) {
		field := typed.Field
		if field == "" {
			field = "the request's body"
		}
		return model.Errorf(model.KindInvalid, "invalid value for %.64s: %.64s is not what it takes", field, typed.Value)
	}
	// encoding/json has no type for this error.
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return model.Errorf(model.KindInvalid, "unknown field %.64s in the request's body", field)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return model.Errorf(model.KindInvalid, "invalid JSON: the request's body ends too early")
	}
	return model.WrapError(model.KindInvalid, err, "invalid JSON in the request's body: %.200s", err)
}

// response remembers what was answered.
type response struct {
	http.ResponseWriter
	status int // 0 until the answer begins
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// write sends an answer, unless one was begun; nil is no content.
func (w *response) write(status int, v any) {
	if w.status != 0 {
		return
	}
	if v == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}
