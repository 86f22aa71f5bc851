package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Outcome is what a command in the machine did.
type Outcome struct {
	Stdout, Stderr string
	Code           int
}

// Wait waits until the machine takes commands and systemd has started what it starts.
func (m *Machine) Wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, err := m.Try(ctx, "systemctl is-system-running --wait", nil)
		if err == nil {
			return nil
		}
		m.hangUp()
		select {
		case <-m.ended:
			return errors.New("the machine has ended")
		case <-ctx.Done():
			return fmt.Errorf("the machine %s takes no commands: %w; the end of its console:\n%s", m.config.Name, err, tail(m.Console(), 30))
		case <-ticker.C:
		}
	}
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Try runs a command of sh in the machine and tells how it went; the error is of reaching it.
func (m *Machine) Try(ctx context.Context, command string, stdin io.Reader) (Outcome, error) {
	client, err := m.dial(ctx)
	if err != nil {
		return Outcome{}, err
	}
	session, err := client.NewSession()
	if err != nil {
		return Outcome{}, fmt.Errorf("cannot open a session: %w", err)
	}
	defer session.Close()
	unbind := context.AfterFunc(ctx, func() { session.Close() })
	defer unbind()
	var stdout, stderr bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = stdin, &stdout, &stderr
	err = session.Run(command)
	done := Outcome{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *ssh.ExitError
	switch {
	case ctx.Err() != nil:
		return done, ctx.Err()
	case errors.As(err, &exit):
		done.Code = exit.ExitStatus()
	case err != nil:
		return done, fmt.Errorf("cannot run a command: %w", err)
	}
	return done, nil
}

// Run runs a command of sh that must succeed, and returns what it printed, trimmed.
func (m *Machine) Run(ctx context.Context, command string) (string, error) {
	done, err := m.Try(ctx, command, nil)
	if err == nil && done.Code != 0 {
		err = fmt.Errorf("exit code %d", done.Code)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w: %s%s", m.config.Name, command, err, done.Stdout, done.Stderr)
	}
	return strings.TrimSpace(done.Stdout), nil
}

// Put copies a file of this machine's into the machine.
func (m *Machine) Put(ctx context.Context, from, to string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	return m.write(ctx, to, file)
}

// Write writes a file in the machine.
func (m *Machine) Write(ctx context.Context, to, text string) error {
	return m.write(ctx, to, strings.NewReader(text))
}

func (m *Machine) write(ctx context.Context, to string, from io.Reader) error {
	done, err := m.Try(ctx, fmt.Sprintf("mkdir -p '%s' && cat > '%s'", filepath.Dir(to), to), from)
	if err == nil && done.Code != 0 {
		err = errors.New(done.Stderr)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s in %s: %w", to, m.config.Name, err)
	}
	return nil
}

// dial is the connection that commands share, made when there is none.
func (m *Machine) dial(ctx context.Context) (*ssh.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shell != nil {
		return m.shell, nil
	}
	pem, err := os.ReadFile(filepath.Join(m.config.Image, "key"))
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, fmt.Errorf("cannot use the machine's key: %w", err)
	}
	dialer := net.Dialer{Timeout: handshakeLimit}
	conn, err := dialer.DialContext(ctx, "tcp", m.Port(22))
	if err != nil {
		return nil, err
	}
	// QEMU accepts at once, and the machine may be silent for long while it boots.
	_ = conn.SetDeadline(time.Now().Add(handshakeLimit))
	secure, channels, requests, err := ssh.NewClientConn(conn, m.Port(22), &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		// The connection does not leave this machine, and the machine was made by it.
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_ = conn.SetDeadline(time.Time{})
	m.shell = ssh.NewClient(secure, channels, requests)
	return m.shell, nil
}

const handshakeLimit = 30 * time.Second

// hangUp ends the connection; the next command makes another.
func (m *Machine) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shell != nil {
		_ = m.shell.Close()
		m.shell = nil
	}
}
