package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// monitor speaks QEMU's Machine Protocol (docs/interop/qmp-spec in QEMU's source): a JSON
// object a call, one that returns, and events between them.
type monitor struct {
	mu   sync.Mutex // one call at a time
	conn net.Conn
	in   *json.Decoder
}

// dialMonitor connects to a qemu that was just started, unless it ends before.
func dialMonitor(ctx context.Context, path string, ended <-chan struct{}) (*monitor, error) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		conn, err := net.Dial("unix", path)
		if err == nil {
			m := &monitor{conn: conn, in: json.NewDecoder(conn)}
			var greeting map[string]any
			if err := m.in.Decode(&greeting); err != nil {
				return nil, errors.Join(err, conn.Close())
			}
			return m, m.call(ctx, "qmp_capabilities", nil, nil)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-ended:
			return nil, errors.New("qemu has ended")
		case <-ticker.C:
		}
	}
}

// call executes one command and reads what it returns into result, unless that is nil.
func (m *monitor) call(ctx context.Context, command string, arguments map[string]any, result any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	unbind := context.AfterFunc(ctx, func() { _ = m.conn.SetDeadline(time.Now()) })
	defer unbind()
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(request); err != nil {
		return fmt.Errorf("cannot ask qemu for %s: %w", command, err)
	}
	for {
		var answer struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := m.in.Decode(&answer); err != nil {
			return fmt.Errorf("cannot hear qemu of %s: %w", command, err)
		}
		switch {
		case answer.Error != nil:
			return fmt.Errorf("qemu refuses %s: %s", command, answer.Error.Desc)
		case answer.Return != nil && result != nil:
			return json.Unmarshal(answer.Return, result)
		case answer.Return != nil:
			return nil
		}
		// Otherwise an event, of which none matters here.
	}
}

// human executes a command that QEMU has for people only, and returns what it printed.
func (m *monitor) human(ctx context.Context, line string) (said string, err error) {
	err = m.call(ctx, "human-monitor-command", map[string]any{"command-line": line}, &said)
	return said, err
}

func (m *monitor) close() { _ = m.conn.Close() }
