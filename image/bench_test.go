package image_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/image"
	"github.com/spearheadcloud/spearhead/image/imagetest"
)

// BenchmarkPull pulls an image of 4 layers with 64 MiB of files, and removes
// it again.
func BenchmarkPull(b *testing.B) {
	registry := imagetest.StartRegistry(b)
	var layers []imagetest.Layer
	total := 0
	for i := range 4 {
		var entries []imagetest.Entry
		for j := range 256 {
			content := bytes.Repeat(fmt.Appendf(nil, "%d %d some text that is compressed\n", i, j), 2048)[:64<<10]
			entries = append(entries, imagetest.File(fmt.Sprintf("l%d/%d/%d", i, j/32, j), string(content), 0o644))
			total += len(content)
		}
		layers = append(layers, imagetest.Gzip(imagetest.Tar(b, entries...)))
	}
	push(b, registry, "big:1", layers, imagetest.Config(ocispec.ImageConfig{}))
	for _, s := range setups {
		b.Run(s.name, func(b *testing.B) {
			needRoot(b)
			store := open(b, s.config(b))
			b.SetBytes(int64(total))
			for b.Loop() {
				img := pull(b, store, registry+"/big:1")
				b.StopTimer()
				if err := store.Remove(b.Context(), img.ID); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkPullOfRealFiles pulls an image of one layer with 200 MB of this
// machine's programs and libraries, and one of the same files in five layers.
// With DOCKERD_SOCKET, the path of a dockerd's socket, and DOCKERD_PID, it does
// the same there. On a busy machine the processor's time says more than the
// clock's.
func BenchmarkPullOfRealFiles(b *testing.B) {
	needRoot(b)
	registry := imagetest.StartRegistry(b)
	for _, count := range []int{1, 5} {
		layers, total := realLayers(b, count)
		name := fmt.Sprintf("real:%d", count)
		push(b, registry, name, layers, imagetest.Config(ocispec.ImageConfig{}))
		store := open(b, image.Config{Root: storeDir(b)})
		b.Run(fmt.Sprintf("spearhead/%d", count), func(b *testing.B) {
			b.SetBytes(total)
			var spent float64
			for b.Loop() {
				before := cpuTime(b, "self")
				img := pull(b, store, registry+"/"+name)
				b.StopTimer()
				spent += cpuTime(b, "self") - before
				if err := store.Remove(b.Context(), img.ID); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(spent/float64(b.N), "cpu-ms/op")
		})
		socket := os.Getenv("DOCKERD_SOCKET")
		if socket == "" {
			continue
		}
		docker := func(args ...string) {
			if out, err := exec.CommandContext(b.Context(), "docker", append([]string{"-H", "unix://" + socket}, args...)...).CombinedOutput(); err != nil {
				b.Fatalf("docker %v: %v: %s", args, err, out)
			}
		}
		b.Run(fmt.Sprintf("dockerd/%d", count), func(b *testing.B) {
			b.SetBytes(total)
			var spent float64
			defer func() { b.ReportMetric(spent/float64(b.N), "cpu-ms/op") }()
			for b.Loop() {
				before := cpuTime(b, os.Getenv("DOCKERD_PID"))
				docker("pull", "-q", registry+"/"+name)
				b.StopTimer()
				spent += cpuTime(b, os.Getenv("DOCKERD_PID")) - before
				docker("rmi", registry+"/"+name)
				b.StartTimer()
			}
		})
	}
}

// cpuTime returns the milliseconds of processor that a process and its ended
// children have had (proc_pid_stat(5)).
func cpuTime(b *testing.B, pid string) float64 {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	var ticks float64
	for _, field := range strings.Fields(after)[11:15] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return ticks * 10 // the kernel's 100 ticks a second
}

// realLayers packs this machine's files into layers, 200 MB together.
func realLayers(b *testing.B, count int) (layers []imagetest.Layer, total int64) {
	b.Helper()
	const size = 200 << 20
	var entries []imagetest.Entry
	part := int64(0)
	err := filepath.WalkDir("/usr", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if total >= size {
			return fs.SkipAll
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		entries = append(entries, imagetest.File(strings.TrimPrefix(path, "/"), string(content), 0o644))
		total += int64(len(content))
		if part += int64(len(content)); part >= size/int64(count) || total >= size {
			layers = append(layers, imagetest.Gzip(imagetest.Tar(b, entries...)))
			entries, part = nil, 0
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return layers, total
}

// BenchmarkRoot makes, mounts and removes the root of a container.
func BenchmarkRoot(b *testing.B) {
	registry := imagetest.StartRegistry(b)
	layers, config := imagetest.BusyboxImage(b)
	push(b, registry, "busybox:1", layers, config)
	for _, s := range setups {
		b.Run(s.name, func(b *testing.B) {
			needRoot(b)
			store := open(b, s.config(b))
			img := pull(b, store, registry+"/busybox:1")
			ctx := b.Context()
			b.Run("prepare+mount+remove", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					id := fmt.Sprint("c", i)
					if err := store.PrepareRoot(ctx, id, img.ID, 1<<30); err != nil {
						b.Fatal(err)
					}
					if _, err := store.MountRoot(ctx, id); err != nil {
						b.Fatal(err)
					}
					if err := store.RemoveRoot(ctx, id); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("prepare", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					id := fmt.Sprint("p", i)
					if err := store.PrepareRoot(ctx, id, img.ID, 1<<30); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					if err := store.RemoveRoot(ctx, id); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		})
	}
}
