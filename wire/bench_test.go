package wire_test

import (
	"context"
	"io"
	"testing"

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
