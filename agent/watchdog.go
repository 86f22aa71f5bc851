package agent

import (
	"context"
	"net"
	"os"
)

// systemd starts a service again that does not tell for a while that it lives
// (sd_notify(3), WatchdogSec= in its unit). Without it, containers that should
// end when the node is cut off would run on beside an agent that hangs.

// tellWatchdog tells systemd, if it wants to be told, that the agent lives.
func tellWatchdog(ctx context.Context) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixgram", socket)
	if err != nil {
		return // then systemd does what it does about an agent that hangs
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("WATCHDOG=1")) // as above
}
