package bed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/internal/seedimage"
)

// busyboxName is the small image in every bed's registry.
const busyboxName = "tests/busybox:1"

// startRegistry runs Debian's registry on the rack's underlay, on data in the folder.
func (b *Bed) startRegistry(ctx context.Context, data string) error {
	gateway, err := b.gateway()
	if err != nil {
		return err
	}
	b.Address = gateway + ":5000"
	config := filepath.Join(filepath.Dir(b.Dir), filepath.Base(b.Dir)+"-registry.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", data, b.Address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	b.registry = exec.Command("docker-registry", "serve", config)
	if err := b.registry.Start(); err != nil {
		return fmt.Errorf("cannot start the registry: %w", err)
	}
	return Poll(ctx, 20*time.Second, func() error {
		answer, err := http.Get("http://" + b.Address + "/v2/")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
}

// gateway is this machine's address beside the rack's head.
func (b *Bed) gateway() (string, error) {
	for _, setting := range b.Env {
		if host, ok := strings.CutPrefix(setting, "DOCKER_HOST=tcp://"); ok {
			return machineAddressBeside(host)
		}
	}
	return "", errors.New("spearhead dev env gives no DOCKER_HOST")
}

// machineAddressBeside is this machine's address in the subnet of HOST:PORT.
func machineAddressBeside(hostPort string) (string, error) {
	beside, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return "", err
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if err == nil && prefix.Bits() > 0 && prefix.Contains(beside.Addr()) {
			return prefix.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("this machine has no address beside %s", hostPort)
}

func pushBusybox(ctx context.Context, ref string) error {
	folder, err := os.MkdirTemp("", "busybox-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o755); err != nil {
		return err
	}
	if err := seedimage.Busybox(ctx, folder); err != nil {
		return err
	}
	return seedimage.Push(ctx, ref, folder, seedimage.Config{
		Cmd: []string{"/bin/sh"}, Env: []string{"PATH=/bin", "FROM_IMAGE=yes"}, Labels: map[string]string{"made.by": "tests"},
	})
}
