package rack

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network/ipam"
)

// nicTag is the tag of the rack's physical network for containers.
const nicTag = "external"

// nodeOvercommit lets a laptop hold a thousand idle containers: in a rack
// nobody relies on what is promised.
var nodeOvercommit = model.Overcommit{Memory: 64, CPU: 1024, Disk: 1024}

// defaultPackage is the size of containers that ask for none.
func defaultPackage() model.Package {
	return model.Package{Name: "default", Memory: 1 << 30, Disk: 10 << 30, Pids: 4096, Active: true, Default: true}
}

// externalNetwork is the network on which containers are reached from this
// machine.
func (r *Rack) externalNetwork() model.Network {
	subnet, gateway := r.external()
	return ipam.Complete(model.Network{
		Name: "external", Kind: model.NetworkExternal, NICTag: nicTag,
		Subnet: subnet, Gateway: gateway, Resolvers: systemResolvers(), Default: true,
	})
}

// initHead makes the state of the first head. Until it is recorded as whole,
// nothing in it was ever used, and it is made anew.
func (r *Rack) initHead(ctx context.Context, h host) error {
	if r.rec.Initialized {
		return nil
	}
	if err := os.RemoveAll(r.stateDir(h)); err != nil {
		return fmt.Errorf("cannot clear a half-made head: %w", err)
	}
	if err := r.run(ctx, h, r.rec.Binary, "head", "init", "--config", r.config(h)); err != nil {
		return err
	}
	r.rec.Initialized = true
	return r.save()
}

// startDaemon starts the daemon of a host unless it runs, and goes on with
// one that was stopped.
func (r *Rack) startDaemon(h host) error {
	p, runs, err := r.daemonOf(h)
	if err != nil {
		return err
	}
	if runs {
		return r.resume(h, p)
	}
	return r.start(h, []string{r.rec.Binary, string(h.daemon()), "run", "--config", r.config(h)})
}

// furnish gives the data center what a newcomer needs: a size, a network and
// an account. What is there stays as the user made it.
func (r *Rack) furnish(ctx context.Context, c *adminapi.Client) error {
	packages, err := c.Packages(ctx)
	if err != nil {
		return fmt.Errorf("cannot list packages: %w", err)
	}
	if !slices.ContainsFunc(packages, func(p adminapi.PackageStatus) bool { return p.Default }) {
		if _, err := c.PutPackage(ctx, adminapi.PackageRequest{Package: defaultPackage()}); err != nil {
			return fmt.Errorf("cannot make the default package: %w", err)
		}
	}
	want := r.externalNetwork()
	networks, err := c.Networks(ctx)
	if err != nil {
		return fmt.Errorf("cannot list networks: %w", err)
	}
	if !slices.ContainsFunc(networks, func(n model.Network) bool { return n.Name == want.Name }) {
		if _, err := c.PutNetwork(ctx, want); err != nil {
			return fmt.Errorf("cannot make the external network: %w", err)
		}
		// A rack is used like the one docker host that it replaces.
		if err := c.SetPublish(ctx, adminapi.Publish{Publish: model.PublishEndpoint}); err != nil {
			return fmt.Errorf("cannot have ports published at heads: %w", err)
		}
	}
	return r.ensureAccount(ctx, c, FirstAccount, model.PolicyTrusted)
}
