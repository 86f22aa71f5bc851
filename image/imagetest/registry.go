package imagetest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const registryProgram = "docker-registry"

// StartRegistry starts a registry with storage of its own on a free port of
// loopback and returns its host:port. It ends with the test. The test is
// skipped when docker-registry is not installed.
func StartRegistry(tb testing.TB) string {
	tb.Helper()
	return StartRegistryAt(tb, "127.0.0.1")
}

// StartRegistryAt is StartRegistry on another address of this machine.
func StartRegistryAt(tb testing.TB, ip string) string {
	tb.Helper()
	if _, err := exec.LookPath(registryProgram); err != nil {
		tb.Skip("needs docker-registry: apt install docker-registry")
	}
	dir := tb.TempDir()
	addr := freeAddress(tb, ip)
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: %s}\n  delete: {enabled: true}\nhttp: {addr: %q}\n", filepath.Join(dir, "data"), addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(registryProgram, "serve", config)
	if err := cmd.Start(); err != nil {
		tb.Fatalf("cannot start registry: %v", err)
	}
	tb.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := waitForRegistry(ctx, addr); err != nil {
		tb.Fatal(err)
	}
	return addr
}

func freeAddress(tb testing.TB, ip string) string {
	tb.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// waitForRegistry polls: the program tells nobody when it listens.
func waitForRegistry(ctx context.Context, addr string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/v2/", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("registry at %s does not answer: %w", addr, ctx.Err())
		case <-ticker.C:
		}
	}
}
