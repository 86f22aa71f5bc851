package runtime

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spearheadcloud/spearhead/internal/logopt"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/iod"
	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

// logSettings judges how a container's output is to be kept.
func logSettings(asked model.LogConfig, bound logopt.File, set *iod.Settings) error {
	log, err := logopt.Parse(asked.Driver, asked.Options)
	if err != nil {
		return model.Errorf(model.KindInvalid, "%v", err)
	}
	if log.Driver == logopt.None {
		return nil
	}
	set.Log = true
	file := log.File.Within(bound)
	set.LogSize, set.LogFiles, set.LogCompress = file.MaxSize, file.MaxFiles, file.Compress
	return nil
}

// LogDir is the directory of a registered container's log files, which package
// jsonlog reads.
func (r *Runtime) LogDir(id string) string { return r.containerDir(id) }

// Logs returns a container's log, framed as Stream says unless it has a
// terminal. KindNotImplemented if it keeps none.
func (r *Runtime) Logs(ctx context.Context, id string, o LogOptions) (io.ReadCloser, error) {
	set, err := r.readSettings(id)
	if err != nil {
		return nil, err
	}
	if !set.Log {
		return nil, model.Errorf(model.KindNotImplemented, "configured logging driver does not support reading")
	}
	log, err := jsonlog.OpenTail(r.LogDir(id), o.Tail)
	if err != nil {
		return nil, fmt.Errorf("cannot read log: %w", err)
	}
	log.SkipBefore(o.Since)
	ctx, cancel := context.WithCancel(ctx)
	pr, pw := io.Pipe()
	reading := &logReading{PipeReader: pr, cancel: cancel, done: make(chan struct{})}
	out := newLogWriter(pw, !set.Tty, o)
	go func() {
		defer close(reading.done)
		defer log.Close()
		stop := context.AfterFunc(ctx, func() { pw.CloseWithError(io.EOF) })
		defer stop()
		err := out.copy(log)
		if err == nil && o.Follow {
			err = r.follow(ctx, id, log, out)
		}
		if errors.Is(err, errPastUntil) || ctx.Err() != nil {
			err = nil
		}
		pw.CloseWithError(errors.Join(err, out.w.Flush()))
	}()
	return reading, nil
}

type logReading struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close ends the reading and waits for it.
func (l *logReading) Close() error {
	l.cancel()
	err := l.PipeReader.Close()
	<-l.done
	return err
}

// follow goes on with what is logged until the container ends.
func (r *Runtime) follow(ctx context.Context, id string, log *jsonlog.Reader, out *logWriter) error {
	watch, err := r.logs.Watch(r.LogDir(id))
	if err != nil {
		return err
	}
	defer watch.Close()
	ended := make(chan struct{})
	waiting, cancel := context.WithCancel(ctx)
	defer func() { cancel(); <-ended }()
	go func() {
		defer close(ended)
		if err := r.ask(waiting, "GET", unitPath(id, "wait"), nil, nil); err != nil && waiting.Err() == nil {
			r.logger.Debug("end of a container is not awaited", "container", id, "err", err)
		}
	}()
	var until <-chan time.Time
	if !out.o.Until.IsZero() {
		timer := time.NewTimer(time.Until(out.o.Until))
		defer timer.Stop()
		until = timer.C
	}
	for last := false; ; {
		if err := out.copy(log); err != nil {
			return err
		}
		if err := out.w.Flush(); err != nil || last {
			return err
		}
		select {
		case <-watch.Changed:
		case <-ended:
			last = true // all of its output is in the log by now
		case <-until:
			last = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// logBuffer is how much is handed on at a time.
const logBuffer = 128 << 10

// newLogWriter returns a logWriter to w.
func newLogWriter(w io.Writer, framed bool, o LogOptions) *logWriter {
	l := &logWriter{w: bufio.NewWriterSize(w, logBuffer), framed: framed, o: o}
	if o.Details {
		l.details = detailsText(o.Attributes) + " "
	}
	return l
}
