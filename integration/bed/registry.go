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
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/internal/seedimage"
)

// BusyboxName is the small image in every bed's registry.
const BusyboxName = "tests/busybox:1"

// Registry is Debian's, running on this machine.
type Registry struct {
	Address string // HOST:PORT
	process *exec.Cmd
}

// StartRegistry runs a registry on this machine's address beside a rack's head, which is
// where DOCKER_HOST says. Its data is in the folder, its configuration becomes the file.
func StartRegistry(ctx context.Context, dockerHost, data, config string) (*Registry, error) {
	beside, err := machineAddressBeside(strings.TrimPrefix(dockerHost, "tcp://"))
	if err != nil {
		return nil, err
	}
	return StartRegistryAt(ctx, beside+":5000", data, config)
}

// StartRegistryAt is StartRegistry at an address of this machine, HOST:PORT, that nobody has.
func StartRegistryAt(ctx context.Context, address, data, config string) (*Registry, error) {
	r := &Registry{Address: address}
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", data, r.Address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	r.process = exec.Command("docker-registry", "serve", config)
	if err := r.process.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the registry: %w", err)
	}
	err := Poll(ctx, time.Minute, func() error {
		answer, err := http.Get("http://" + r.Address + "/v2/")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Close ends the registry.
func (r *Registry) Close() error {
	err := r.process.Process.Kill()
	_ = r.process.Wait() // says that it was killed
	return err
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

// PushBusybox gives a registry the small image, under the name of ref.
func PushBusybox(ctx context.Context, ref string) error {
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
