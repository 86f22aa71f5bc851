package agent

import (
	"net"
	"path/filepath"
	"testing"
)

func TestSystemdHearsWhatItIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	tellSystemd(t.Context(), ready)
	tellSystemd(t.Context(), lives)
	for _, want := range []string{"READY=1", "WATCHDOG=1"} {
		buffer := make([]byte, 100)
		n, err := socket.Read(buffer)
		if err != nil || string(buffer[:n]) != want {
			t.Errorf("it heard %q, %v; want %q", buffer[:n], err, want)
		}
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	tellSystemd(t.Context(), lives) // and nothing else happens
}
