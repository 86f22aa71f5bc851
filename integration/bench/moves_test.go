package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
	"github.com/spearheadcloud/spearhead/internal/seedimage"
	"github.com/spearheadcloud/spearhead/rack"
)

// burden is what a container that is measured brings along, in MiB: a volume with one file, of
// which it writes so many anew, each at another place, when it is told to end.
type burden struct{ size, dirty int }

// script is the container's program.
func (m burden) script() string {
	return fmt.Sprintf(`trap 'i=0; while [ $i -lt %[2]d ]; do dd if=/dev/urandom of=/data/file bs=1M count=1 seek=$((i*%[1]d/(%[2]d+1))) conv=notrunc 2>/dev/null; i=$((i+1)); done; exit 0' TERM
		[ -e /data/file ] || dd if=/dev/urandom of=/data/file bs=1M count=%[1]d 2>/dev/null
		echo ready; while :; do sleep 0.1 & wait $!; done`, m.size, m.dirty)
}

// moves measures how long a container is down that moves between the two nodes of a rack, from
// its end on the one to its start on the other, and the whole move.
func (s *stage) moves(ctx context.Context, rounds int, storage string, m burden) (measured *table, err error) {
	e, settings, end, err := s.twoNodes(ctx, "--storage", storage)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	body := map[string]any{
		"Image": e.image, "Cmd": []string{"sh", "-c", m.script()}, "Labels": map[string]string{label: ""}, "StopTimeout": 120,
		"HostConfig": map[string]any{"Binds": []string{"burden:/data"}},
	}
	var created struct{ ID string }
	if err := e.do(ctx, "POST", "/containers/create", body, &created); err != nil {
		return nil, err
	}
	if err := e.start(ctx, created.ID); err != nil {
		return nil, err
	}
	measured = &table{}
	for range rounds {
		if err := s.moveOnce(ctx, e, settings, created.ID, measured, fmt.Sprintf("%s, %d of %d MiB dirty", storage, m.dirty, m.size)); err != nil {
			return nil, err
		}
	}
	if err := e.sweep(ctx); err != nil {
		return nil, err
	}
	return measured, e.do(ctx, "DELETE", "/volumes/burden", nil, nil)
}

// moveOnce moves the container to the other node, once it may: its old node may have to let go
// of it first.
func (s *stage) moveOnce(ctx context.Context, e *engine, settings []string, id string, into *table, what string) error {
	if err := e.ready(ctx, id); err != nil {
		return err
	}
	var took time.Duration
	err := bed.Poll(ctx, bed.Patience, func() error {
		begin := time.Now()
		move := exec.CommandContext(ctx, s.binary, "container", "move", id[:12])
		move.Env = append(os.Environ(), settings...)
		out, err := move.CombinedOutput()
		if took = time.Since(begin); err != nil {
			return fmt.Errorf("spearhead container move: %w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var is struct {
		State struct {
			Running               bool
			StartedAt, FinishedAt time.Time
		}
	}
	if err := e.do(ctx, "GET", "/containers/"+id+"/json", nil, &is); err != nil {
		return err
	}
	down := is.State.StartedAt.Sub(is.State.FinishedAt)
	if !is.State.Running || down <= 0 {
		return fmt.Errorf("after its move the container is %+v", is.State)
	}
	into.add("downtime of a move, "+what, "s", e.name, down.Seconds())
	into.add("all of the move, "+what, "s", e.name, took.Seconds())
	return nil
}

// ready waits until the container has said that it is.
func (e *engine) ready(ctx context.Context, id string) error {
	return bed.Poll(ctx, bed.Patience, func() error {
		answer, err := e.send(ctx, "GET", "/containers/"+id+"/logs?stdout=1&tail=1", nil)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if text, err := io.ReadAll(answer.Body); err != nil || strings.Contains(string(text), "ready") {
			return err
		}
		return errors.New("the container is not ready")
	})
}

// twoNodes brings up a rack of two nodes that hold the small image. It returns the environment
// of its operator.
func (s *stage) twoNodes(ctx context.Context, options ...string) (e *engine, settings []string, end func() error, err error) {
	dir := filepath.Join(s.work, "two-nodes")
	down := func() error { return s.dev(context.WithoutCancel(ctx), "down", dir) }
	if err := s.dev(ctx, "up", dir, append([]string{"--nodes", "2"}, options...)...); err != nil {
		return nil, nil, nil, errors.Join(err, down())
	}
	var registry *bed.Registry
	end = func() (failed error) {
		if registry != nil {
			failed = registry.Close()
		}
		return errors.Join(failed, down())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	r, err := rack.Load(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	if settings, err = r.Env("", ""); err != nil {
		return nil, nil, nil, err
	}
	if e, err = newEngine(ours, settings); err != nil {
		return nil, nil, nil, err
	}
	registry, err = bed.StartRegistry(ctx, e.host, filepath.Join(s.work, "registry"), filepath.Join(s.work, "registry-two.yml"))
	if err != nil {
		return nil, nil, nil, err
	}
	e.registry = registry.Address
	e.image = registry.Address + "/" + imageName
	folder := filepath.Join(s.work, "busybox")
	if err = seedimage.Push(ctx, e.image, folder, seedimage.Config{Cmd: []string{"/bin/sh"}, Env: []string{"PATH=/bin"}}); err != nil {
		return nil, nil, nil, err
	}
	return e, settings, end, e.pull(ctx, e.image)
}

// BenchmarkMoves moves a container with a GiB, of which a tenth has changed at its end.
func BenchmarkMoves(b *testing.B) {
	for _, storage := range []string{"overlay", "zfs"} {
		for _, dirty := range []int{100, 0} {
			b.Run(fmt.Sprintf("%s/%d", storage, dirty), func(b *testing.B) {
				needs(b, storage)
				measured(b, func(ctx context.Context, s *stage) (*table, error) {
					return s.moves(ctx, 4, storage, burden{size: 1024, dirty: dirty})
				})
			})
		}
	}
}

func needs(tb testing.TB, storage string) {
	tb.Helper()
	if _, err := exec.LookPath("zfs"); storage == "zfs" && err != nil {
		tb.Skip("needs ZFS or zfs-fuse: volumes as datasets")
	}
}

// TestMovesAreMeasured runs the measure once.
func TestMovesAreMeasured(t *testing.T) {
	s := useStage(t)
	got, err := s.moves(t.Context(), 1, "overlay", burden{size: 4, dirty: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.rows) != 2 {
		t.Errorf("it measured %+v", got.rows)
	}
}
