package dockerapi

import (
	"io"
	"net/http"
	"strconv"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func (s *server) containerLogs(c *call) error {
	r, err := c.logsRequest()
	if err != nil {
		return err
	}
	found, err := s.Containers.Get(c.ctx(), c.account, c.vars["id"])
	if err != nil {
		return err
	}
	log, err := s.Containers.Logs(c.ctx(), c.account, found.ID, r)
	if err != nil {
		return err
	}
	defer log.Close()
	c.w.Header().Set("Content-Type", mediaType(c.version, found.Spec.Tty))
	c.w.WriteHeader(http.StatusOK)
	return c.copyFlushing(log)
}

func (c *call) logsRequest() (wire.LogsRequest, error) {
	r := wire.LogsRequest{
		Stdout: c.query.bool("stdout"), Stderr: c.query.bool("stderr"), Follow: c.query.bool("follow"),
		Timestamps: c.query.bool("timestamps"), Details: c.query.bool("details"), Tail: -1,
	}
	if !r.Stdout && !r.Stderr {
		return r, model.Errorf(model.KindInvalid, "Bad parameters: you must choose at least one stream")
	}
	var err error
	if r.Since, err = c.query.time("since"); err != nil {
		return r, err
	}
	if r.Until, err = c.query.time("until"); err != nil {
		return r, err
	}
	// Docker takes all lines when it cannot read the number.
	if n, err := strconv.Atoi(c.query.Get("tail")); err == nil && n >= 0 {
		r.Tail = n
	}
	return r, nil
}

// copyFlushing copies a stream to the client, each part as soon as it comes.
func (c *call) copyFlushing(from io.ReadCloser) error {
	flush := http.NewResponseController(c.w).Flush
	flush()
	err := relay(c.w, from, func() { flush() }, func() { from.Close() })
	if c.ctx().Err() != nil {
		return nil
	}
	return err
}
