package imagetest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/spearheadcloud/spearhead/internal/testaddr"
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
	return Options{IP: ip}.Start(tb)
}

// Options say how a registry differs from the plain one.
type Options struct {
	IP               string            // that it listens on
	Data             string            // folder of its storage, which registries may share; "" is a new one
	Certificate, Key string            // PEM files: it speaks TLS
	Users            map[string]string // name to password: it wants to know who asks
}

// Start is StartRegistry with options.
func (o Options) Start(tb testing.TB) string {
	tb.Helper()
	if _, err := exec.LookPath(registryProgram); err != nil {
		tb.Skip("needs docker-registry: apt install docker-registry")
	}
	addr := testaddr.FreeOn(tb, o.IP)
	cmd := exec.Command(registryProgram, "serve", o.configure(tb, addr))
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

// configure writes the registry's configuration, which is JSON and so YAML.
func (o Options) configure(tb testing.TB, addr string) string {
	tb.Helper()
	dir := tb.TempDir()
	if o.Data == "" {
		o.Data = filepath.Join(dir, "data")
	}
	type section map[string]any
	listen := section{"addr": addr}
	if o.Certificate != "" {
		listen["tls"] = section{"certificate": o.Certificate, "key": o.Key}
	}
	config := section{
		"version": "0.1", "log": section{"level": "error"}, "http": listen,
		"storage": section{"filesystem": section{"rootdirectory": o.Data}, "delete": section{"enabled": true}},
	}
	if o.Users != nil {
		passwords := filepath.Join(dir, "htpasswd")
		write(tb, passwords, htpasswd(tb, o.Users))
		config["auth"] = section{"htpasswd": section{"realm": "tests", "path": passwords}}
	}
	text, err := json.Marshal(config)
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, "config.yml")
	write(tb, path, text)
	return path
}

func htpasswd(tb testing.TB, users map[string]string) []byte {
	tb.Helper()
	var lines []byte
	for name, password := range users {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			tb.Fatal(err)
		}
		lines = fmt.Appendf(lines, "%s:%s\n", name, hash)
	}
	return lines
}

func write(tb testing.TB, path string, text []byte) {
	tb.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// waitForRegistry polls: the program tells nobody when it listens.
func waitForRegistry(ctx context.Context, addr string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr); err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("registry at %s does not answer: %w", addr, ctx.Err())
		case <-ticker.C:
		}
	}
}
