package runtime

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// Halt ends every container of a node, all at the same time, and returns how
// many when the supervisor has recorded their ends. Nobody may have the runtime
// open: this is for a machine that goes down, after its agent. how tells the
// signal that asks a container to end, and how long it may take before it is
// killed. What has not ended when ctx does is an error.
func Halt(ctx context.Context, cfg Config, how func(id string) (syscall.Signal, time.Duration)) (int, error) {
	h := halt{Runtime: New(cfg), over: map[[2]string]chan struct{}{}}
	var err error
	if h.host, err = readHost(); err != nil {
		return 0, fmt.Errorf("cannot end containers: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends, err := h.client.open(ctx, "GET", "/exits", nil)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // there was no supervisor since the machine was booted, and thus no container
	}
	if err != nil {
		return 0, fmt.Errorf("cannot end containers: the supervisor does not answer: %w", err)
	}
	defer ends.Body.Close()
	var list []iod.Process
	if err := h.client.call(ctx, "GET", "/units", nil, &list); err != nil {
		return 0, failure(err, "list what runs")
	}
	for _, p := range list {
		h.over[[2]string{p.ID, p.Run}] = make(chan struct{})
	}
	var hearing, ending sync.WaitGroup
	failed := make([]error, len(list))
	for i, p := range list {
		over := h.over[[2]string{p.ID, p.Run}]
		ending.Go(func() {
			signal, patience := how(p.ID)
			failed[i] = h.end(ctx, p.ID, over, signal, patience)
		})
	}
	hearing.Go(func() { h.hear(json.NewDecoder(bufio.NewReader(ends.Body))) })
	ending.Wait()
	cancel() // which ends the stream
	hearing.Wait()
	return len(list), errors.Join(failed...)
}

// halt is a node that goes down.
type halt struct {
	*Runtime
	over map[[2]string]chan struct{} // closed by hear, by container and run; its alone once it reads
}

// hear reads what the supervisor tells of ends.
func (h *halt) hear(ends *json.Decoder) {
	for {
		var e iod.Exit
		if ends.Decode(&e) != nil {
			return // the context has ended, or with the supervisor what waits for it will
		}
		key := [2]string{e.ID, e.Run}
		if over, ours := h.over[key]; ours {
			close(over)
			delete(h.over, key) // an end may be told twice
		}
	}
}

// end asks a container to end, and kills it when its time is up.
func (h *halt) end(ctx context.Context, id string, over <-chan struct{}, signal syscall.Signal, patience time.Duration) error {
	if err := h.send(ctx, id, signal); err != nil {
		h.logger.Warn("cannot ask a container to end", slog.String("op", "halt"), slog.String("container", id), slog.Any("err", err))
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	if err := h.send(context.WithoutCancel(ctx), id, unix.SIGKILL); err != nil {
		return fmt.Errorf("cannot kill container %s: %w", model.ShortID(id), err)
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("container %s was killed and has not ended: %w", model.ShortID(id), ctx.Err())
	}
}

// send sends a signal that reaches a paused container, too. One that has just
// ended needs none.
func (h *halt) send(ctx context.Context, id string, signal syscall.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, haltCall)
	defer cancel()
	err := h.client.call(ctx, "POST", unitPath(id, "signal?signal="+strconv.Itoa(int(signal))), nil, nil)
	if err = failure(err, "signal the container"); model.IsKind(err, model.KindConflict) || model.IsKind(err, model.KindNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	record, err := h.readRecord(id)
	if err != nil {
		return err
	}
	return h.groupAt(record.Group).Thaw()
}

// haltCall is how long the supervisor may take to send one signal.
const haltCall = 10 * time.Second
