package cluster

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// TestEveryHeadPublishesPorts at its own address, whichever leads: clients that take
// DOCKER_HOST's host for where containers are work through any of them.
func TestEveryHeadPublishesPorts(t *testing.T) {
	b := whole(t)
	id := b.Run(t, "-p", "80", b.Image, "sh", "-c", "mkdir -p /www && echo through > /www/index.html && exec httpd -f -p 80 -h /www")
	binding := `(index (index .NetworkSettings.Ports "80/tcp") 0)`
	port := b.Inspect(t, id, "{{"+binding+".HostPort}}")
	for _, head := range heads {
		want := address(t, b, head) + ":" + port
		if got := b.Through(t, head).Inspect(t, id, "{{"+binding+".HostIp}}:{{"+binding+".HostPort}}"); got != want {
			t.Errorf("%s shows %s, want %s", head, got, want)
		}
	}
	reached := func(through ...string) {
		t.Helper()
		client := http.Client{Timeout: 5 * time.Second}
		for _, head := range through {
			bed.Eventually(t, func() error {
				answer, err := client.Get("http://" + address(t, b, head) + ":" + port + "/")
				if err != nil {
					return err
				}
				defer answer.Body.Close()
				if text, err := io.ReadAll(answer.Body); err != nil || strings.TrimSpace(string(text)) != "through" {
					return fmt.Errorf("through %s: %q, %v", head, text, err)
				}
				return nil
			})
		}
	}
	reached(heads...)
	leader := b.Leader(t)
	fault(t, b, "kill", leader)
	reached(others(leader)...)
	fault(t, b, "start", leader)
	reached(heads...)
	b.Docker(t, "rm", "-f", id)
}
