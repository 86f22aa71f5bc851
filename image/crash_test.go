package image_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
	"github.com/spearheadcloud/spearhead/zfs"
	"github.com/spearheadcloud/spearhead/zfs/fusepool"
	"github.com/spearheadcloud/spearhead/zfs/fusepool/fusepooltest"
)

// lifeEnv holds, in the process that is to be killed, what it works on.
const lifeEnv = "IMAGE_TEST_LIFE"

type life struct {
	Root, Snapshotter, Ref string
	Pool                   string // directory of a fusepool
	Username, Password     string
	PullOnly               bool
}

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(lifeEnv); ok {
		if err := liveOnce(text); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	skipSlowest()
	os.Exit(m.Run())
}

// skipSlowest leaves out, unless somebody says what to skip, the one part of
// containerd's suite for snapshotters that takes minutes: it compares 128 trees,
// each with all files of those before. TestManyLayers has as many layers.
func skipSlowest() {
	if skip := flag.Lookup("test.skip"); skip != nil && skip.Value.String() == "" {
		_ = skip.Value.Set("SnapshotterKeepsTheContract/128LayersMount") // it is a text, any will do
	}
}

// liveOnce does everything that changes the world, once. It is killed at a
// failpoint on its way.
func liveOnce(text string) error {
	ctx := context.Background()
	var l life
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return err
	}
	cfg, err := l.config(ctx)
	if err != nil {
		return err
	}
	s, err := image.Open(ctx, cfg)
	if err != nil {
		return err
	}
	img, _, _, err := s.Pull(ctx, image.PullRequest{Ref: l.Ref, Username: l.Username, Password: l.Password}, nil)
	if err != nil || l.PullOnly {
		return err
	}
	if err := passAround(ctx, s, img.ID); err != nil {
		return err
	}
	if _, err := s.Shed(ctx, img.ID, []image.Peer{s}); err != nil {
		return err
	}
	if err := s.PrepareRoot(ctx, "c1", img.ID, 64<<20); err != nil {
		return err
	}
	root, err := s.MountRoot(ctx, "c1")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "committed"), []byte("x"), 0o600); err != nil {
		return err
	}
	committed, err := s.Commit(ctx, "c1", image.CommitOptions{})
	if err != nil {
		return err
	}
	if err := s.Remove(ctx, committed.ID); err != nil {
		return err
	}
	if err := s.RemoveRoot(ctx, "c1"); err != nil {
		return err
	}
	return s.Remove(ctx, img.ID)
}

// passAround saves an image, loads it, and imports the archive as if it were a
// root.
func passAround(ctx context.Context, s *image.Store, id string) error {
	archive, err := s.Save(ctx, []image.SavedImage{{ImageID: id}})
	if err != nil {
		return err
	}
	defer archive.Close()
	data, err := io.ReadAll(archive)
	if err != nil {
		return err
	}
	if err := s.Load(ctx, bytes.NewReader(data), image.LoadRequest{}); err != nil {
		return err
	}
	imported, err := s.Import(ctx, bytes.NewReader(data), image.ImportOptions{})
	if err != nil {
		return err
	}
	return s.Remove(ctx, imported.ID)
}

func (l life) config(ctx context.Context) (image.Config, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := image.Config{Root: l.Root, Snapshotter: l.Snapshotter, InsecureRegistries: loopback, Logger: log}
	if l.Pool == "" {
		return cfg, nil
	}
	d, err := fusepool.Start(ctx, fusepool.Config{Dir: l.Pool})
	if err != nil {
		return cfg, err
	}
	cfg.Datasets, err = zfs.Open(ctx, zfs.Config{Dataset: d.Pool + "/spearhead", Command: d.Command()})
	return cfg, err
}

// TestKillAtAnyStepLeavesNothingBehind kills a process in the middle of each
// step, goes on after it, and then takes everything away.
func TestKillAtAnyStepLeavesNothingBehind(t *testing.T) {
	needRoot(t)
	both := []string{"image.commit.unpacked", "image.unpack.mounted", "image.unpack.before-commit", "image.pull.before-record"}
	for snapshotter, points := range map[string][]string{
		image.Overlay: append(slices.Clone(both), "image.root.made", "image.root.mounted", "image.root.unmounted",
			"image.load.read", "image.import.stored", "image.commit.packed", "image.shed.let-go"), // where all storage is alike
		image.ZFS: append(slices.Clone(both), "image.dataset.made", "image.dataset.remove"),
	} {
		t.Run(snapshotter, func(t *testing.T) {
			t.Parallel()
			registry := imagetest.StartRegistry(t)
			layers, config := threeLayers(t)
			push(t, registry, "three:1", layers, config)
			l := life{Root: storeDir(t), Snapshotter: snapshotter, Ref: registry + "/three:1"}
			if snapshotter == image.ZFS {
				l.Pool = fusepooltest.Dir(t)
			}
			cfg, err := l.config(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			before := worldAfter(t, cfg, func(*image.Store) {})
			for _, point := range points {
				killAt(t, l, point)
				after := worldAfter(t, cfg, func(s *image.Store) { finish(t, s, l.Ref) })
				if !cmp.Equal(before, after) && l.Pool != "" {
					// zfs-fuse may hold a dataset for a request that the kill cut off,
					// until it is started again.
					cfg = restarted(t, l)
					after = worldAfter(t, cfg, func(s *image.Store) { finish(t, s, l.Ref) })
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("killed at %s, it leaves (-before +after):\n%s", point, diff)
				}
			}
		})
	}
}

// restarted ends the pool's daemon and starts it again.
func restarted(t *testing.T, l life) image.Config {
	t.Helper()
	d, err := fusepool.Start(t.Context(), fusepool.Config{Dir: l.Pool})
	if err == nil {
		err = d.Stop(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := l.config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func killAt(t *testing.T, l life, point string) {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), lifeEnv+"="+string(text), "FAILPOINTS="+point+"=kill")
	out, _ := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("%s: the process was not killed there: %v: %s", point, cmd.ProcessState, out)
	}
}

// finish goes on where the killed process was: everything works, and is taken
// away again.
func finish(t *testing.T, s *image.Store, ref string) {
	t.Helper()
	ctx := t.Context()
	img := pull(t, s, ref)
	if err := s.PrepareRoot(ctx, "c1", img.ID, 64<<20); err != nil {
		t.Errorf("prepare: %v", err)
	}
	root, err := s.MountRoot(ctx, "c1")
	if err != nil {
		t.Errorf("mount: %v", err)
	}
	checkTree(t, root)
	if err := s.RemoveRoot(ctx, "c1"); err != nil {
		t.Errorf("remove root: %v", err)
	}
	if err := s.Remove(ctx, img.ID); err != nil {
		t.Errorf("remove image: %v", err)
	}
}

// worldAfter opens a store, works with it, and lists what is left.
func worldAfter(t *testing.T, cfg image.Config, work func(*image.Store)) []string {
	t.Helper()
	cfg.InsecureRegistries = loopback
	s, err := image.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	work(s)
	left := files(t, cfg.Root)
	if cfg.Datasets != nil {
		for _, parent := range []string{"layers", "roots"} {
			children, err := cfg.Datasets.Children(t.Context(), parent, "org.spearhead:image")
			if err != nil {
				t.Fatal(err)
			}
			for name := range children {
				left = append(left, parent+"/"+name)
			}
		}
	}
	return left
}
