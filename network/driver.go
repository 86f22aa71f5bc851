package network

import (
	"context"
	"log/slog"

	"github.com/spearheadcloud/spearhead/model"
)

// Config says what a Driver works with.
type Config struct {
	// RunDir holds the pinned namespaces. It must not outlive a reboot in
	// meaning, but may in form: stale entries are recognised.
	RunDir string
	// Prefix begins the names of links this driver makes: up to four letters
	// or digits; "" is "sh".
	Prefix string
	// Uplinks maps the tag of a physical network to the interface, in the
	// agent's network namespace, that leads to it. The interface must carry
	// no address: it becomes a port of a bridge in another namespace.
	Uplinks map[string]string
	Logger  *slog.Logger
}

// Driver makes and removes the networks of this node's containers. Its
// methods may be called by many goroutines at once, but not for one container
// at the same time.
type Driver struct {
	cfg Config
}

// Open makes a driver, and gives back uplinks that no container uses.
func Open(ctx context.Context, cfg Config) (*Driver, error) { return &Driver{cfg: cfg}, nil }

// Close releases what the driver holds open. Containers keep their network;
// if there are none, uplinks go back to the agent's namespace.
func (d *Driver) Close() error { return nil }

// Attach makes the network of a container and returns the path of its
// namespace. No NICs means a namespace with only a loopback. Doing it again
// changes nothing and repairs what is missing. networks must hold the network
// of each NIC.
func (d *Driver) Attach(ctx context.Context, containerID string, nics []model.NIC, networks []model.Network) (string, error) { return "", nil }

// Detach removes the network of a container; an unknown one is no error.
func (d *Driver) Detach(ctx context.Context, containerID string) error { return nil }

// Sandboxes lists the ids of all containers that may have something here.
func (d *Driver) Sandboxes(ctx context.Context) ([]string, error) { return nil, nil }
