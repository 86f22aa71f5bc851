package integration

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/internal/seedimage"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// service runs Debian's redis in a Debian root, as anybody would package it.
func service(t *testing.T, b *bed.Bed) {
	image := b.Address + "/tests/redis:1"
	pushDebian(t, image, "redis-server", seedimage.Config{
		Entrypoint:   []string{"/usr/bin/redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/var/lib/redis"},
		Cmd:          []string{"--appendonly", "yes"},
		User:         "redis",
		ExposedPorts: map[string]struct{}{"6379/tcp": {}},
	})
	id := b.Run(t, "-P", image)
	address := net.JoinHostPort(b.AddressOf(t, id), "6379")
	bed.Eventually(t, func() error { return redis(address, "PING", "+PONG") })
	if err := redis(address, "SET city Bern", "+OK"); err != nil {
		t.Fatal(err)
	}
	b.Docker(t, "restart", id)
	bed.Eventually(t, func() error { return redis(address, "GET city", "Bern") })
	if out := b.Docker(t, "exec", id, "id", "-un"); out != "redis" {
		t.Errorf("the service runs as %q", out)
	}
	b.Docker(t, "stop", id)
	if code := b.Inspect(t, id, "{{.State.ExitCode}}"); code != "0" {
		t.Errorf("redis, stopped, ended with %s: it was not asked politely", code)
	}
}

// redis sends a command in the protocol's inline form; the answer must hold the text.
func redis(address, command, want string) error {
	connection, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(connection, "%s\r\nQUIT\r\n", command); err != nil {
		return err
	}
	var said []string
	for lines := bufio.NewScanner(connection); lines.Scan(); {
		said = append(said, lines.Text())
	}
	if !strings.Contains(strings.Join(said, "\n"), want) {
		return fmt.Errorf("%s: redis answers %q, want %q", command, said, want)
	}
	return nil
}

// pushDebian makes a Debian root with a package in it and pushes it as an
// image, unless another bed has done it: their registries hold the same.
func pushDebian(t *testing.T, ref, pkg string, config seedimage.Config) {
	t.Helper()
	if _, err := exec.LookPath("debootstrap"); err != nil {
		t.Skip("needs debootstrap: install it with scripts/setup test")
	}
	if err := exec.CommandContext(t.Context(), "curl", "-fsSo", os.DevNull, "-H", "Accept: application/vnd.oci.image.manifest.v1+json", manifestURL(ref)).Run(); err == nil {
		return
	}
	folder := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	bootstrap := exec.CommandContext(ctx, "debootstrap", "--variant=minbase", "--include="+pkg, "bookworm", folder)
	if out, err := bootstrap.CombinedOutput(); err != nil {
		t.Skipf("needs a Debian mirror: debootstrap: %v: %s", err, lastLine(out))
	}
	config.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if err := seedimage.Push(ctx, ref, folder, config); err != nil {
		t.Fatal(err)
	}
}

// manifestURL is where the registry of a reference holds it.
func manifestURL(ref string) string {
	at := strings.LastIndexByte(ref, ':')
	host, name, _ := strings.Cut(ref[:at], "/")
	return "http://" + host + "/v2/" + name + "/manifests/" + ref[at+1:]
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}
