package rack

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
)

// bringUp starts the daemons and waits until they work together. What was there
// before starts first, because heads need a majority of each other; then new
// hosts join, all at the same time.
func (r *Rack) bringUp(ctx context.Context) error {
	first := r.heads()[0]
	if err := r.initHead(ctx, first); err != nil {
		return err
	}
	for _, h := range r.hosts() {
		joined, err := r.hasJoined(h)
		if err == nil && joined {
			err = r.startDaemon(h)
		}
		if err != nil {
			return err
		}
	}
	c := adminapi.NewClient(r.socket(first))
	defer c.Close()
	if err := r.awaitHead(ctx, c, first); err != nil {
		return err
	}
	r.progress("head-1   works")
	joining, joinCtx := errgroup.WithContext(ctx)
	for _, h := range r.hosts()[1:] {
		joining.Go(func() error { return r.ensureJoined(joinCtx, c, h) })
	}
	joining.Go(func() error { return r.furnish(joinCtx, c) })
	if err := joining.Wait(); err != nil {
		return err
	}
	if err := r.awaitHeads(ctx); err != nil {
		return err
	}
	if err := r.awaitNodes(ctx, c); err != nil {
		return err
	}
	for _, h := range r.hosts()[1:] {
		r.progress(fmt.Sprintf("%-8s works", h.name))
	}
	if err := r.awaitDocker(ctx); err != nil {
		return err
	}
	external, _ := r.external()
	_, gateway := r.underlay()
	r.progress(fmt.Sprintf("containers get addresses in %s, reachable from this machine", external))
	r.progress(fmt.Sprintf("a registry that listens on this machine at port 5000 is %s:5000 in there, by plain HTTP", gateway))
	return nil
}
