package guest

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// Socket makes a unix socket at path on this machine that leads to one in the machine, for as
// long as the machine runs.
func (m *Machine) Socket(path, inside string) error {
	door, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("cannot make a socket: %w", err)
	}
	m.mu.Lock()
	m.doors = append(m.doors, door)
	m.mu.Unlock()
	m.sockets.Go(func() {
		for {
			conn, err := door.Accept()
			if err != nil {
				return // it was closed
			}
			m.sockets.Go(func() { m.carry(conn, inside) })
		}
	})
	return nil
}

// carry joins a connection to a new one of the machine, until that one has ended.
func (m *Machine) carry(conn net.Conn, inside string) {
	defer conn.Close()
	shell, err := m.dial(context.Background())
	if err != nil {
		return // as a head does that is not there
	}
	far, err := shell.Dial("unix", inside)
	if err != nil {
		return
	}
	defer far.Close()
	var asking sync.WaitGroup
	asking.Go(func() {
		_, _ = io.Copy(far, conn) // who asks learns from the answer what went wrong
		if half, ok := far.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	})
	_, _ = io.Copy(conn, far)
	_ = conn.Close()
	asking.Wait()
}

// closeSockets closes them; what is under way ends with the machine's connection.
func (m *Machine) closeSockets() {
	m.mu.Lock()
	for _, door := range m.doors {
		_ = door.Close()
	}
	m.doors = nil
	m.mu.Unlock()
	m.hangUp()
	m.sockets.Wait()
}
