package logship

import (
	"errors"
	"io"
	"time"

	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

const (
	batchBytes = 64 << 10
	// arrival is how often it is asked whether what was sent has arrived, for
	// which there is no event.
	arrival = 20 * time.Millisecond
)

var (
	errRenew  = errors.New("the connection is to be made anew")
	errClosed = errors.New("the server has closed the connection, or nothing listens there")
)

// A session sends over one connection, which it makes when there is something
// to send.
type session struct {
	*run
	reader *jsonlog.Reader
	watch  *jsonlog.Watch
	at     cursor // how far the log was read
	batch  batch
	link   *link // nil: none yet
	since  time.Time
	ended  bool // the container had ended when the log was last read
}

// session returns nil when the container has ended and all was sent.
func (r *run) session() (err error) {
	s := &session{run: r, at: r.place}
	if s.watch, err = r.watcher.Watch(r.dir); err != nil {
		return err
	}
	defer s.watch.Close()
	if s.reader, err = jsonlog.OpenAt(r.dir, r.place.Position); err != nil {
		return err
	}
	defer s.reader.Close()
	defer func() {
		if s.link != nil {
			r.note(s.link.confirmed())
			s.link.close(err == nil)
		}
	}()
	for {
		more, err := s.step()
		if err != nil {
			return err
		}
		if more {
			continue
		}
		over, err := s.wait()
		if err != nil || over {
			return err
		}
	}
}

// step sends a batch. It returns true if there may be more to send at once.
func (s *session) step() (more bool, err error) {
	s.ended = s.isEnding() // if so, all was logged by now
	more, err = s.fill()
	if err != nil {
		return false, err
	}
	if len(s.batch.ends) > 0 && s.link == nil {
		if s.link, err = connect(s.ctx, &s.door, s.server, s.place); err != nil {
			return false, err
		}
		s.since = time.Now()
	}
	if s.link == nil {
		s.note(s.at) // nothing of it is to be sent
		return more, nil
	}
	if len(s.batch.ends) > 0 {
		s.format.seal(&s.batch)
	}
	if err := s.link.send(s.ctx, &s.batch, s.at); err != nil {
		return false, err
	}
	s.note(s.link.confirmed())
	if s.down {
		s.logger.Info("a log is sent again", "op", "ship")
		s.down = false
	}
	return more, s.check()
}

// fill reads a batch of lines. It returns false at the end of what there is.
func (s *session) fill() (more bool, err error) {
	s.batch.reset()
	var e jsonlog.Entry
	for len(s.batch.bytes) < batchBytes {
		err := s.reader.Next(&e)
		s.tellLoss()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		s.format.add(&s.batch, s.at.take(s.id, &e, s.reader.Position()))
	}
	return true, nil
}

// tellLoss tells of what rotation has dropped before it was read.
func (s *session) tellLoss() {
	lost := s.reader.Lost()
	if lost == 0 {
		return
	}
	s.logger.Warn("a part of a log was dropped by rotation before it could be sent", "op", "ship", "bytes", lost)
	s.at.Pieces = [3]pieces{}
	s.format.add(&s.batch, &message{text: lostText(lost), stderr: true, at: time.Now()})
}

// check returns an error if the connection has ended, or should.
func (s *session) check() error {
	select {
	case <-s.link.closed:
		return errClosed
	default:
	}
	if s.renew > 0 && time.Since(s.since) >= s.renew && s.place == s.at {
		return errRenew
	}
	return nil
}

// wait waits for something to do. over is that all is done.
func (s *session) wait() (over bool, err error) {
	s.batch = batch{} // gives its memory back
	for {
		if s.link != nil {
			s.note(s.link.confirmed())
		}
		arrived := s.place == s.at
		if arrived && s.ended {
			return true, nil
		}
		if woken, err := s.sleep(arrived); woken || err != nil {
			return false, err
		}
	}
}

// sleep waits until something happens, or it is time to look. It returns true
// if there may be something to send.
func (s *session) sleep(arrived bool) (woken bool, err error) {
	var look <-chan time.Time
	switch {
	case !arrived:
		look = time.After(arrival)
	case s.saved != s.place:
		look = time.After(saveEvery)
	}
	var closed <-chan struct{}
	if s.link != nil {
		closed = s.link.closed
	}
	ending := s.ending
	if s.ended {
		ending = nil
	}
	select {
	case <-s.watch.Changed:
		return true, nil
	case <-ending:
		return true, nil
	case <-look:
		return false, nil
	case <-closed:
		return false, errClosed
	case <-s.ctx.Done():
		return false, s.ctx.Err()
	}
}
