package wire_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// filing is an agent whose files are what a test makes of them.
type filing struct {
	*wiretest.Agent
	read  func(ctx context.Context) (io.ReadCloser, error)
	write func(ctx context.Context, tar io.Reader) error
}

func (a *filing) ReadArchive(ctx context.Context, _, path string) (wire.Archive, error) {
	r, err := a.read(ctx)
	return wire.Archive{Stat: model.PathStat{Name: path}, ReadCloser: r}, err
}

func (a *filing) Export(ctx context.Context, _ string) (io.ReadCloser, error) { return a.read(ctx) }

func (a *filing) Logs(ctx context.Context, _ string, _ wire.LogsRequest) (io.ReadCloser, error) {
	return a.read(ctx)
}

func (a *filing) WriteArchive(ctx context.Context, _ string, _ wire.WriteArchiveRequest, tar io.Reader) error {
	return a.write(ctx, tar)
}

// bothWays runs f with a client of a, without and with TLS.
func bothWays(t *testing.T, a wire.Agent, f func(t *testing.T, c *wire.Client)) {
	for name, encrypted := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) { f(t, overHTTP(t, a, encrypted)) })
	}
}

// content is what an agent sends: size bytes, and then an error.
type content struct {
	left   int
	after  error
	closed chan struct{}
}

func (c *content) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, c.after
	}
	n := min(len(p), c.left)
	c.left -= n
	return n, nil
}

func (c *content) Close() error {
	close(c.closed)
	return nil
}

func TestContentThatBreaksOffSaysWhy(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 100, 5 << 20} {
		a := &filing{Agent: inMemory(t), read: func(context.Context) (io.ReadCloser, error) {
			broken := model.WrapError(model.KindExhausted, io.ErrNoProgress, "line one\nline two: größer")
			return &content{left: size, after: broken, closed: make(chan struct{})}, nil
		}}
		bothWays(t, a, func(t *testing.T, c *wire.Client) {
			archive, err := c.ReadArchive(t.Context(), "c", "/f")
			if err != nil {
				t.Fatal(err)
			}
			defer archive.Close()
			export, err := c.Export(t.Context(), "c")
			if err != nil {
				t.Fatal(err)
			}
			defer export.Close()
			logs, err := c.Logs(t.Context(), "c", wire.LogsRequest{})
			if err != nil {
				t.Fatal(err)
			}
			defer logs.Close()
			for what, r := range map[string]io.Reader{"archive": archive, "export": export, "logs": logs} {
				n, err := io.Copy(io.Discard, r)
				if !model.IsKind(err, model.KindExhausted) || model.UserText(err) != "line one\nline two: größer" || n != int64(size) {
					t.Errorf("%s: after %d of %d bytes the reader got %v", what, n, size, err)
				}
			}
		})
	}
}

// zeros gives zeros and never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestArchiveIsRefusedWhileItIsSent has the agent answer before it has read
// what it is sent: a reader that never ends, or one that gives nothing more.
func TestArchiveIsRefusedWhileItIsSent(t *testing.T) {
	t.Parallel()
	for _, reads := range []int64{0, 1000, 1 << 20} {
		a := &filing{Agent: inMemory(t), write: func(_ context.Context, tar io.Reader) error {
			if _, err := io.CopyN(io.Discard, tar, reads); err != nil {
				return err
			}
			return model.Errorf(model.KindNotFound, "Could not find the file /x")
		}}
		bothWays(t, a, func(t *testing.T, c *wire.Client) {
			silent, writer := io.Pipe()
			defer silent.Close()
			defer writer.Close()
			for what, tar := range map[string]io.Reader{
				"endless":      zeros{},
				"random":       io.LimitReader(rand.Reader, 32<<20),
				"going silent": io.MultiReader(strings.NewReader(strings.Repeat("x", int(reads)+1)), silent),
				"short":        strings.NewReader(strings.Repeat("x", int(reads)+1)),
			} {
				err := c.WriteArchive(t.Context(), "c", wire.WriteArchiveRequest{Path: "/x"}, tar)
				if !model.IsKind(err, model.KindNotFound) {
					t.Errorf("%s, refused after %d bytes: %v", what, reads, err)
				}
			}
			if _, err := c.Info(t.Context()); err != nil {
				t.Errorf("the next call: %v", err)
			}
		})
	}
}

func TestSentArchiveThatBreaksOffIsNoWholeOne(t *testing.T) {
	t.Parallel()
	got := make(chan error, 1)
	a := &filing{Agent: inMemory(t), write: func(_ context.Context, tar io.Reader) error {
		_, err := io.Copy(io.Discard, tar)
		got <- err
		return err
	}}
	bothWays(t, a, func(t *testing.T, c *wire.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		begun := &signalling{begun: make(chan struct{})}
		failed := make(chan error, 1)
		go func() { failed <- c.WriteArchive(ctx, "c", wire.WriteArchiveRequest{Path: "/x"}, begun) }()
		<-begun.begun
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("the sender got %v", err)
		}
		if err := <-got; err == nil {
			t.Error("for the agent the archive that broke off was whole")
		}
		err := c.WriteArchive(t.Context(), "c", wire.WriteArchiveRequest{Path: "/x"}, io.MultiReader(strings.NewReader("half"), &content{after: io.ErrNoProgress}))
		if err == nil {
			t.Error("an archive that could not be read was sent")
		}
		if err := <-got; err == nil {
			t.Error("for the agent the archive that could not be read was whole")
		}
	})
}

// signalling is an endless archive that tells when it is read.
type signalling struct {
	begun chan struct{}
	reads int
}

func (s *signalling) Read(p []byte) (int, error) {
	if s.reads++; s.reads == 10 {
		close(s.begun)
	}
	return len(p), nil
}

func TestReaderThatLeavesEndsTheWork(t *testing.T) {
	t.Parallel()
	over := make(chan struct{}, 1)
	a := &filing{Agent: inMemory(t), read: func(ctx context.Context) (io.ReadCloser, error) {
		c := &content{left: 1 << 40, closed: make(chan struct{})}
		go func() {
			<-c.closed
			<-ctx.Done()
			over <- struct{}{}
		}()
		return c, nil
	}}
	bothWays(t, a, func(t *testing.T, c *wire.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		for _, leave := range []func(io.Closer){
			func(c io.Closer) { c.Close() },
			func(io.Closer) { cancel() },
		} {
			archive, err := c.ReadArchive(ctx, "c", "/f")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, archive, 1<<20); err != nil {
				t.Fatal(err)
			}
			leave(archive)
			select {
			case <-over:
			case <-time.After(20 * time.Second):
				t.Fatal("the agent's work goes on")
			}
			archive.Close()
		}
	})
}

// TestAbandonedArchives has a node that is out of reach: what waits for it
// ends, also while it is being sent.
func TestAbandonedArchives(t *testing.T) {
	t.Parallel()
	came, stop := make(chan struct{}, 2), make(chan struct{})
	defer close(stop)
	a := &filing{Agent: inMemory(t)}
	a.write = func(context.Context, io.Reader) error {
		came <- struct{}{}
		<-stop
		return nil
	}
	a.read = func(context.Context) (io.ReadCloser, error) {
		came <- struct{}{}
		<-stop
		return nil, io.ErrNoProgress
	}
	c := overHTTP(t, a, true)
	failed := make(chan error, 2)
	go func() { failed <- c.WriteArchive(t.Context(), "c", wire.WriteArchiveRequest{Path: "/x"}, zeros{}) }()
	go func() {
		_, err := c.ReadArchive(t.Context(), "c", "/f")
		failed <- err
	}()
	<-came
	<-came
	c.Abandon()
	for range 2 {
		if err := <-failed; !model.IsKind(err, model.KindUnavailable) {
			t.Errorf("an abandoned call: %v", err)
		}
	}
}
