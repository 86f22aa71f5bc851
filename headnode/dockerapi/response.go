package dockerapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
)

// response remembers whether an answer was begun, so that an error after that
// is not written into it.
type response struct {
	http.ResponseWriter
	begun    bool
	hijacked bool
	status   int // that was sent; 0 is 200, if begun
}

func (w *response) WriteHeader(status int) {
	w.begun = true
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what is buffered; a client that has gone is noticed elsewhere.
func (w *response) Flush() {
	w.begun = true
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Hijack gives the connection to the caller.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.begun, w.hijacked = true, true
	}
	return conn, buffered, err
}

// answer encodes v, in the newest form, as the answer of the call's route.
func (c *call) answer(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode the answer: %w", err)
	}
	if body, err = compat.Lower(c.route, c.version, body); err != nil {
		return err
	}
	return c.send(status, body)
}

// send writes an encoded answer in one piece.
func (c *call) send(status int, body []byte) error {
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	c.w.Write(body) // a client that has gone needs no answer
	return nil
}

// done answers with a status and no body.
func (c *call) done(status int) error {
	c.w.WriteHeader(status)
	return nil
}
