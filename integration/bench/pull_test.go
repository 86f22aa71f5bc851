package bench

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/spearheadcloud/spearhead/image/imagetest"
)

// pulls measures how fast images of so many MB of this machine's files come from a registry on
// this machine: one whose files are in one layer, and one of five layers. Each pull is of an
// image that was never there before, and none is removed before the end: a file system is slow
// to make files just after many were removed.
func (s *stage) pulls(ctx context.Context, rounds, megabytes int) (*table, error) {
	if err := s.registryWithin(ctx); err != nil {
		return nil, err
	}
	all := map[int]files{}
	for _, layers := range []int{1, 5} {
		var err error
		if all[layers], err = packFiles(ctx, megabytes, layers); err != nil {
			return nil, err
		}
	}
	pulled := map[*engine][]string{}
	measured, err := s.turns(rounds, func(e *engine, into *table) error {
		for _, layers := range []int{1, 5} {
			name := fmt.Sprintf("spearhead-bench/files-%d:%d", layers, len(pulled[e]))
			if err := all[layers].push(ctx, s.registry, name, e.name); err != nil {
				return err
			}
			ref := e.registry + "/" + name
			begin := time.Now()
			if err := e.pull(ctx, ref); err != nil {
				return err
			}
			into.add(fmt.Sprintf("pull, layers: %d", layers), "MB/s", e.name, all[layers].size/1e6/time.Since(begin).Seconds())
			pulled[e] = append(pulled[e], ref)
		}
		return nil
	})
	for e, refs := range pulled {
		for _, ref := range refs {
			err = errors.Join(err, e.removeImage(ctx, ref))
		}
	}
	return measured, err
}

// files are this machine's files in layers that are packed already.
type files struct {
	size   float64 // bytes of the files
	plain  [][]byte
	packed [][]byte
}

// packFiles takes so many MB of files.
func packFiles(ctx context.Context, megabytes, count int) (packed files, err error) {
	var names []string
	total, part := int64(0), int64(0)
	limit := int64(megabytes) * 1e6
	pack := func() error {
		archive, err := tarOf(ctx, names)
		layer := imagetest.Gzip(archive)
		packed.plain, packed.packed = append(packed.plain, archive), append(packed.packed, layer.Blob)
		names, part = nil, 0
		return err
	}
	err = filepath.WalkDir("/usr", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if total >= limit {
			return fs.SkipAll
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		names = append(names, strings.TrimPrefix(path, "/"))
		total, part = total+info.Size(), part+info.Size()
		if part >= limit/int64(count) {
			return pack()
		}
		return nil
	})
	if err == nil && len(names) > 0 {
		err = pack()
	}
	packed.size = float64(total)
	return packed, err
}

// push makes an image of the files, and in each layer of one file more, which has the image's
// name and the salt in it: so no two images share anything. It is packed apart from the others,
// which need not be packed again: archives and gzip (RFC 1952) may be put one behind the other.
func (f files) push(ctx context.Context, registry, name, salt string) error {
	var layers []imagetest.Layer
	for i := range f.plain {
		var head bytes.Buffer
		w := tar.NewWriter(&head)
		text := fmt.Sprintf("%s %s %d", name, salt, i)
		if err := w.WriteHeader(&tar.Header{Name: "salt", Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
		if err := w.Flush(); err != nil { // not its end
			return err
		}
		layer := imagetest.Gzip(head.Bytes())
		layer.Blob = append(layer.Blob, f.packed[i]...)
		hash := digest.SHA256.Digester()
		hash.Hash().Write(head.Bytes())
		hash.Hash().Write(f.plain[i])
		layer.DiffID = hash.Digest()
		layers = append(layers, layer)
	}
	_, err := imagetest.PushTar(ctx, registry, name, layers, imagetest.Config(ocispec.ImageConfig{Cmd: []string{"/bin/true"}}))
	return err
}

// tarOf packs files below /.
func tarOf(ctx context.Context, names []string) ([]byte, error) {
	pack := exec.CommandContext(ctx, "tar", "-C", "/", "-c", "--null", "--files-from=-")
	pack.Stdin = strings.NewReader(strings.Join(names, "\x00"))
	var said bytes.Buffer
	pack.Stderr = &said
	archive, err := pack.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot pack files: %w: %s", err, said.Bytes())
	}
	return archive, nil
}

// registryWithin gives the yardstick a registry on its own loopback: where it is, nothing else
// of this machine can be reached.
func (s *stage) registryWithin(ctx context.Context) error {
	e := s.engines[0]
	if e.name != theirs || e.registry != "" {
		return nil
	}
	pid, err := listenerOf(e.host)
	if err != nil {
		return err
	}
	const address = "127.0.0.1:5000"
	config := filepath.Join(s.work, "registry-within.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", filepath.Join(s.work, "registry"), address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	inside := []string{"--target", fmt.Sprint(pid), "--net"}
	if out, err := exec.CommandContext(ctx, "nsenter", append(inside, "ip", "link", "set", "lo", "up")...).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot give the docker daemon a loopback: %w: %s", err, out)
	}
	registry := exec.Command("nsenter", append(inside, "docker-registry", "serve", config)...)
	if err := registry.Start(); err != nil {
		return fmt.Errorf("cannot start a registry beside the docker daemon: %w", err)
	}
	s.closers = append(s.closers, func() error {
		err := registry.Process.Kill()
		_ = registry.Wait() // says that it was killed
		return err
	})
	e.registry = address
	ready := exec.CommandContext(ctx, "nsenter", append(inside, "bash", "-c", "until (exec 3<>/dev/tcp/127.0.0.1/5000) 2>/dev/null; do sleep 0.05; done")...)
	return ready.Run()
}

// secondNode measures, in a rack of two nodes, how long the first container of an image takes
// to be made on a node that has to get it from the one that pulled it, beside a pull from the
// registry and the first container after it. That the other node begins to take a copy by
// itself once the image is pulled is part of it.
func (s *stage) secondNode(ctx context.Context, rounds, megabytes int) (measured *table, err error) {
	e, _, end, err := s.twoNodes(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	packed, err := packFiles(ctx, megabytes, 5)
	if err != nil {
		return nil, err
	}
	measured = &table{}
	for round := range rounds {
		name := fmt.Sprintf("spearhead-bench/two-nodes:%d", round)
		if err := packed.push(ctx, e.registry, name, ""); err != nil {
			return nil, err
		}
		e.image = e.registry + "/" + name
		if err := e.pullTwice(ctx, measured); err != nil {
			return nil, err
		}
	}
	return measured, nil
}

// pullTwice has one node pull the image, and then both make a container of it, which the one
// that pulled could have done at once. Which one that is nobody tells, so both make another.
func (e *engine) pullTwice(ctx context.Context, into *table) error {
	begin := time.Now()
	if err := e.pull(ctx, e.image); err != nil {
		return err
	}
	pulled := time.Since(begin)
	copied, err := e.createOnBoth(ctx)
	if err != nil {
		return err
	}
	created, err := e.createOnBoth(ctx)
	if err != nil {
		return err
	}
	into.add("image of five layers: first container, from the registry", "ms", e.name, ms(pulled+created))
	into.add("image of five layers: first container, from another node", "ms", e.name, ms(copied))
	return e.sweep(ctx)
}

// createOnBoth makes a container on each of the two nodes at once.
func (e *engine) createOnBoth(ctx context.Context) (took time.Duration, err error) {
	begin := time.Now()
	var both errgroup.Group
	for _, node := range []string{"node-1", "node-2"} {
		both.Go(func() error {
			body := map[string]any{
				"Image": e.image, "Env": []string{"affinity:node==" + node},
				"Labels": map[string]string{label: ""}, "HostConfig": map[string]any{"NetworkMode": "none"},
			}
			return e.do(ctx, "POST", "/containers/create", body, nil)
		})
	}
	err = both.Wait()
	return time.Since(begin), err
}
