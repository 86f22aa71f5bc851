package bed

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// Terminal is a docker command on a pseudo-Terminal, with all that it printed.
type Terminal struct {
	file *os.File
	wait func() error
	mu   sync.Mutex
	text strings.Builder // guarded by mu
	done chan struct{}
}

// Terminal starts docker on a terminal of 24 rows and 80 columns.
func (b *Bed) Terminal(t *testing.T, args ...string) *Terminal {
	t.Helper()
	command := b.Command(t, args...)
	file, err := pty.StartWithSize(command, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	screen := &Terminal{file: file, wait: command.Wait, done: make(chan struct{})}
	go func() {
		defer close(screen.done)
		buffer := make([]byte, 4096)
		for {
			n, err := file.Read(buffer)
			screen.mu.Lock()
			screen.text.Write(buffer[:n])
			screen.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		file.Close()
		<-screen.done
	})
	return screen
}

// Shown is all that was printed so far.
func (s *Terminal) Shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// Expect waits until the text is on the screen.
func (s *Terminal) Expect(t *testing.T, text string) {
	t.Helper()
	Eventually(t, func() error {
		if shown := s.Shown(); !strings.Contains(shown, text) {
			return fmt.Errorf("the terminal lacks %q: %q", text, shown)
		}
		return nil
	})
}

// Send types text.
func (s *Terminal) Send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(s.file, text); err != nil {
		t.Fatal(err)
	}
}

// Resize gives the terminal another size.
func (s *Terminal) Resize(t *testing.T, rows, cols uint16) {
	t.Helper()
	if err := pty.Setsize(s.file, &pty.Winsize{Rows: rows, Cols: cols}); err != nil {
		t.Fatal(err)
	}
}

// Follows waits for a size that the container's Terminal takes.
func (s *Terminal) Follows(t *testing.T, size string) {
	t.Helper()
	Eventually(t, func() error {
		before := strings.Count(s.Shown(), "size="+size)
		s.Send(t, "echo size=$(stty size)\n")
		return Poll(t.Context(), time.Second, func() error {
			if strings.Count(s.Shown(), "size="+size) == before {
				return fmt.Errorf("the terminal is not %s: %q", size, s.Shown())
			}
			return nil
		})
	})
}

// Wait waits for the command to end; its error is that of exec.Cmd.
func (s *Terminal) Wait() error { return s.wait() }
