package agent

import (
	"context"
	"net"
	"os"
)

// What the agent tells systemd, if it wants to be told (sd_notify(3)). It starts a
// service again that does not tell for a while that it lives (WatchdogSec in its
// unit): without it, containers that should end when the node is cut off would run
// on beside an agent that hangs. Its patience begins when the service is ready: to
// open storage that is slow, and to take over what runs, may take longer than that.
const (
	lives = "WATCHDOG=1"
	ready = "READY=1"
)

// tellSystemd sends one message. Where nobody listens, or it does not arrive,
// systemd does what it does about a service that hangs.
func tellSystemd(ctx context.Context, message string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixgram", socket)
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(message)) // as above
}
