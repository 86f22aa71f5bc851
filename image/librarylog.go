package image

import (
	"context"
	"io"
	"log/slog"

	"github.com/containerd/log"
	"github.com/sirupsen/logrus"
)

// libraryLog passes on what containerd's packages log by themselves. What
// matters of it comes back as an error besides, so it is kept low: errors are
// warnings here, all else is for debugging.
type libraryLog struct{ to *slog.Logger }

// hearLibrary sends what containerd's packages log to a Store's logger, in its
// format and with its level. They have one logger in a process: the Store that
// was opened last hears it.
func hearLibrary(to *slog.Logger) {
	hooks := make(logrus.LevelHooks)
	hooks.Add(libraryLog{to})
	log.L.Logger.ReplaceHooks(hooks)
	log.L.Logger.SetOutput(io.Discard)
}

// Levels asks for every entry.
func (libraryLog) Levels() []logrus.Level { return logrus.AllLevels }

// Fire passes one entry on.
func (l libraryLog) Fire(entry *logrus.Entry) error {
	level := slog.LevelDebug
	if entry.Level <= logrus.ErrorLevel {
		level = slog.LevelWarn
	}
	ctx := entry.Context
	if ctx == nil {
		ctx = context.Background()
	}
	attributes := []slog.Attr{slog.String("op", "image library")}
	for key, value := range entry.Data {
		if key == logrus.ErrorKey {
			key = "err"
		}
		attributes = append(attributes, slog.Any(key, value))
	}
	l.to.LogAttrs(ctx, level, entry.Message, attributes...)
	return nil
}
