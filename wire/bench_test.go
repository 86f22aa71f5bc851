package wire_test

import (
	"context"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// BenchmarkCall is one small call over a kept connection with TLS.
func BenchmarkCall(b *testing.B) {
	client := overHTTP(b, inMemory(b), true)
	for b.Loop() {
		if _, err := client.Containers(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStream is the throughput of one attached stream with TLS, from the
// agent to the head.
func BenchmarkStream(b *testing.B) {
	client := overHTTP(b, flood{inMemory(b)}, true)
	stream, err := client.Attach(b.Context(), "any", wire.AttachRequest{Stdout: true, Stream: true})
	if err != nil {
		b.Fatal(err)
	}
	defer stream.Close()
	piece := make([]byte, 1<<20)
	b.SetBytes(int64(len(piece)))
	for b.Loop() {
		if _, err := io.ReadFull(stream, piece); err != nil {
			b.Fatal(err)
		}
	}
}

// flood is an agent whose containers write without end.
type flood struct{ *wiretest.Agent }

func (flood) Attach(context.Context, string, wire.AttachRequest) (wire.Stream, error) {
	return endless{}, nil
}

type endless struct{}

func (endless) Read(b []byte) (int, error)  { return len(b), nil }
func (endless) Write(b []byte) (int, error) { return len(b), nil }
func (endless) CloseWrite() error           { return nil }
func (endless) Close() error                { return nil }

// BenchmarkUpload is a body of 1 GiB with TLS, from the head, where it comes as
// a read from the kernel brings it, to the agent: the processor time of both.
func BenchmarkUpload(b *testing.B) {
	const size = 1 << 30
	client := overHTTP(b, &filing{write: func(_ context.Context, tar io.Reader) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{tar}, make([]byte, 1<<20))
		return err
	}}, true)
	b.SetBytes(size)
	before := processorTime(b)
	for b.Loop() {
		body := io.LimitReader(arriving{}, size)
		if err := client.WriteArchive(b.Context(), "any", wire.WriteArchiveRequest{}, body); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((processorTime(b)-before).Seconds()/float64(b.N), "cpu-s/op")
}

// arriving is a body without end, of which some records of TLS have come.
type arriving struct{}

func (arriving) Read(p []byte) (int, error) { return min(len(p), 128<<10), nil }

// processorTime is what this process has had.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
