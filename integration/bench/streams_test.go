package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// writer makes a file of whole lines of 100 bytes, and writes it to its output again and again.
const writer = `yes "$(printf %%099d 0)" | head -c %d > /lines; for i in $(seq %d); do cat /lines; done`

// streams measures how fast one client gets a container's output, as it is written and
// from its log. The time runs from the first byte to the last.
func (s *stage) streams(ctx context.Context, rounds, mib int) (*table, error) {
	const times = 8
	part := mib << 20 / times / 100 * 100
	want := int64(part * times)
	return s.turns(rounds, func(e *engine, into *table) error {
		id, err := e.create(ctx, "none", "sh", "-c", fmt.Sprintf(writer, part, times))
		if err != nil {
			return err
		}
		attach, err := e.send(ctx, "POST", "/containers/"+id+"/attach?stream=1&stdout=1", nil, "Connection", "Upgrade", "Upgrade", "tcp")
		if err != nil {
			return err
		}
		if err := e.start(ctx, id); err != nil {
			return err
		}
		rate, err := drain(attach.Body, want)
		if err != nil {
			return fmt.Errorf("%s: attach: %w", e.name, err)
		}
		into.add("attach, one stream", "MB/s", e.name, rate)
		logs, err := e.send(ctx, "GET", "/containers/"+id+"/logs?stdout=1", nil)
		if err != nil {
			return err
		}
		if rate, err = drain(logs.Body, want); err != nil {
			return fmt.Errorf("%s: logs: %w", e.name, err)
		}
		into.add("logs, one stream", "MB/s", e.name, rate)
		return e.remove(ctx, id)
	})
}

// stream measures how fast one client gets what a container writes in parts of 1 MiB, when
// that is not logged: what the way itself carries.
func (s *stage) stream(ctx context.Context, rounds, mib int) (*table, error) {
	host := map[string]any{"NetworkMode": "none", "LogConfig": map[string]any{"Type": "none"}}
	return s.turns(rounds, func(e *engine, into *table) error {
		id, err := e.createOn(ctx, host, "dd", "if=/dev/zero", "bs=1M", fmt.Sprintf("count=%d", mib))
		if err != nil {
			return err
		}
		attach, err := e.send(ctx, "POST", "/containers/"+id+"/attach?stream=1&stdout=1", nil, "Connection", "Upgrade", "Upgrade", "tcp")
		if err != nil {
			return err
		}
		if err := e.start(ctx, id); err != nil {
			return err
		}
		rate, err := drain(attach.Body, int64(mib)<<20)
		if err != nil {
			return fmt.Errorf("%s: attach: %w", e.name, err)
		}
		into.add("attach, nothing logged", "MB/s", e.name, rate)
		return e.remove(ctx, id)
	})
}

// drain reads a stream of frames (type, three zeros, length, data) to its end, and tells the
// rate of the data in MB (10^6) per second. All of the data must come.
func drain(stream io.ReadCloser, want int64) (rate float64, err error) {
	defer stream.Close()
	frames := bufio.NewReaderSize(stream, 64<<10)
	if _, err := frames.Peek(1); err != nil {
		return 0, err
	}
	begin := time.Now()
	var header [8]byte
	var got int64
	for {
		if _, err := io.ReadFull(frames, header[:]); err == io.EOF {
			break
		} else if err != nil {
			return 0, err
		}
		n, err := io.CopyN(io.Discard, frames, int64(binary.BigEndian.Uint32(header[4:])))
		if err != nil {
			return 0, err
		}
		got += n
	}
	if got != want {
		return 0, fmt.Errorf("%d bytes came of %d", got, want)
	}
	return float64(got) / 1e6 / time.Since(begin).Seconds(), nil
}
