package endtoend

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// furnished is a script that makes files, says so, and lives until it is asked
// to end.
const furnished = `mkdir -p /data/deep; echo kept > /data/deep/file; ln -s deep /data/link; echo t > /scratch/t; echo ready
trap "exit 0" TERM; while :; do sleep 0.05; done`

func (n *node) furnish() (wire.CreateRequest, string) {
	n.Helper()
	volume := filepath.Join(filepath.Dir(n.cfg.StateDir), "volume")
	n.ok(os.MkdirAll(volume, 0o755))
	r := n.request(furnished)
	r.Container.Spec.Tmpfs = map[string]string{"/scratch": ""}
	r.Container.Spec.Mounts = []model.Mount{{Type: "bind", Source: volume, Target: "/volume"}}
	_, err := n.client.Create(n.Context(), r)
	n.ok(err)
	stream, err := n.client.Attach(n.Context(), r.Container.ID, wire.AttachRequest{Stdout: true, Stderr: true, Stream: true})
	n.ok(err)
	defer stream.Close()
	_, err = n.client.Start(n.Context(), r.Container.ID)
	n.ok(err)
	if got := n.output(stream, "ready"); !strings.Contains(got, "ready") {
		n.Fatalf("the container says %q", got)
	}
	return r, volume
}

// archived returns the contents of an archive by name.
func (n *node) archived(r io.ReadCloser) map[string]string {
	n.Helper()
	defer r.Close()
	found := map[string]string{}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, r)
			n.ok(err)
			return found
		}
		n.ok(err)
		content, err := io.ReadAll(archive)
		n.ok(err)
		found[header.Name] = header.Linkname + string(content)
	}
}

func (n *node) read(id, path string) map[string]string {
	n.Helper()
	archive, err := n.client.ReadArchive(n.Context(), id, path)
	n.ok(err)
	return n.archived(archive)
}

func (n *node) put(id string, r wire.WriteArchiveRequest, name, content string) {
	n.Helper()
	var body bytes.Buffer
	w := tar.NewWriter(&body)
	n.ok(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644, Uid: 7, Gid: 8}))
	_, err := io.WriteString(w, content)
	n.ok(err)
	n.ok(w.Close())
	n.ok(n.client.WriteArchive(n.Context(), id, r, &body))
}

func TestFilesOfARunningAndOfAStoppedContainer(t *testing.T) {
	n := newNode(t)
	n.start("")
	n.pull()
	r, volume := n.furnish()
	id := r.Container.ID

	stat, err := n.client.StatPath(t.Context(), id, "/data/link")
	n.ok(err)
	if stat.Name != "link" || stat.LinkTarget != "/data/deep" || stat.Mode&os.ModeSymlink == 0 {
		t.Errorf("the link is %+v", stat)
	}
	if got := n.read(id, "/data/link/file"); got["file"] != "kept\n" {
		t.Errorf("through the link there is %q", got)
	}
	if got := n.read(id, "/scratch"); got["scratch/t"] != "t\n" {
		t.Errorf("in memory there is %q", got)
	}
	if got := n.read(id, "/etc/hosts"); !strings.Contains(got["hosts"], "10.77.0.") {
		t.Errorf("the hosts file is %q", got)
	}
	if got := n.read(id, "/proc"); len(got) != 1 {
		t.Errorf("the kernel's files are copied: %d of them", len(got))
	}
	if _, err := n.client.StatPath(t.Context(), id, "/proc/kmsg"); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("a file of the kernel: %v", err)
	}
	n.put(id, wire.WriteArchiveRequest{Path: "/scratch"}, "new", "memory")
	n.put(id, wire.WriteArchiveRequest{Path: "/volume"}, "new", "volume")
	n.put(id, wire.WriteArchiveRequest{Path: "/data"}, "owned", "x")
	if got, _ := n.exec(id, "sh", "-c", "cat /scratch/new /volume/new; stat -c :%u:%g /data/owned"); got != "memoryvolume:7:8\n" {
		t.Errorf("the container sees %q", got)
	}

	_, err = n.client.Stop(t.Context(), id, wire.StopRequest{})
	n.ok(err)
	if got := n.read(id, "/data/deep/"); got["deep/file"] != "kept\n" {
		t.Errorf("of the stopped container there is %q", got)
	}
	if got := n.read(id, "/volume/."); got["./new"] != "volume" {
		t.Errorf("in the stopped container's volume there is %q", got)
	}
	n.put(id, wire.WriteArchiveRequest{Path: "/volume"}, "later", "x")
	if _, err := os.Stat(filepath.Join(volume, "later")); err != nil {
		t.Error(err)
	}
	n.put(id, wire.WriteArchiveRequest{Path: "/data"}, "later", "written while stopped")
	_, err = n.client.Start(t.Context(), id)
	n.ok(err)
	if got, _ := n.exec(id, "cat", "/data/later"); got != "written while stopped" {
		t.Errorf("the container sees %q", got)
	}
	n.await(id, "archive-path")
	n.await(id, "extract-to-dir")
	_, err = n.client.Remove(t.Context(), id, wire.RemoveRequest{Force: true})
	n.ok(err)
	n.wantNothingLeft()
}

func TestExportChangesSizesAndCommit(t *testing.T) {
	n := newNode(t)
	n.start("")
	n.pull()
	r, _ := n.furnish()
	id := r.Container.ID
	n.put(id, wire.WriteArchiveRequest{Path: "/data"}, "big", strings.Repeat("x", 1<<20))

	whole, err := n.client.Export(t.Context(), id)
	n.ok(err)
	files := n.archived(whole)
	if files["data/deep/file"] != "kept\n" || files["scratch/t"] != "" || files["bin/busybox"] == "" {
		t.Errorf("the export has %d files, %q among them", len(files), files["data/deep/file"])
	}
	n.await(id, "export")

	changes, err := n.client.Changes(t.Context(), id)
	n.ok(err)
	var lines []string
	for _, c := range changes {
		lines = append(lines, string("CAD"[c.Kind])+c.Path)
	}
	for _, want := range []string{"A/data", "A/data/big", "A/data/deep/file", "A/data/link"} {
		if !slices.Contains(lines, want) {
			t.Errorf("changes lack %s: %q", want, lines)
		}
	}
	for _, line := range lines {
		if strings.Contains(line, "/etc/hosts") || strings.HasSuffix(line, "/proc") || strings.Contains(line, "/scratch/") {
			t.Errorf("changes have %s", line)
		}
	}
	sizes, err := n.client.Sizes(t.Context(), []string{id, model.NewID()})
	n.ok(err)
	if got := sizes[id].RW; len(sizes) != 1 || got < 1<<20 || got > 2<<20 {
		t.Errorf("sizes are %+v", sizes)
	}

	made, err := n.client.Commit(t.Context(), id, wire.CommitRequest{
		Name: "mine:latest", Config: model.ImageConfig{Cmd: []string{"sh"}, Env: n.image.Config.Env}, Author: "me", Comment: "c", Created: time.Now(), Pause: true,
	})
	n.ok(err)
	if s, _ := n.container(id); s.Status != model.StatusRunning {
		t.Errorf("after the commit the container is %s", s.Status)
	}
	if e := n.await(id, "commit"); e.Attributes["imageID"] != made.Image.ID || e.Attributes["comment"] != "c" || e.Attributes["imageRef"] != "mine:latest" || e.Seq != made.Ack.Seq {
		t.Errorf("the commit is told as %+v, answered with %+v", e, made.Ack)
	}
	n.await(id, "unpause")
	second := n.request("cat /data/deep/file; ls /scratch")
	second.Container.Spec.ImageID = made.Image.ID
	_, err = n.client.Create(t.Context(), second)
	n.ok(err)
	stream, err := n.client.Attach(t.Context(), second.Container.ID, wire.AttachRequest{Stdout: true, Stderr: true, Stream: true})
	n.ok(err)
	defer stream.Close()
	_, err = n.client.Start(t.Context(), second.Container.ID)
	n.ok(err)
	if got := n.output(stream, ""); got != "kept\n" {
		t.Errorf("a container of the new image says %q", got)
	}
	n.await(second.Container.ID, "die")
	for _, id := range []string{id, second.Container.ID} {
		_, err = n.client.Remove(t.Context(), id, wire.RemoveRequest{Force: true})
		n.ok(err)
	}
	n.ok(n.client.RemoveImage(t.Context(), made.Image.ID))
	n.wantNothingLeft()
}

// An agent that is killed while it reads a stopped container's files leaves no
// mount behind, and one that is killed in a commit no frozen container.
func TestKilledWhileFilesAreUsed(t *testing.T) {
	n := newNode(t)
	n.start("")
	n.pull()
	r, _ := n.furnish()
	id := r.Container.ID
	for _, point := range []string{"image.commit.packed", "image.commit.unpacked"} {
		n.kill()
		n.start(point + "=kill")
		if _, err := n.client.Commit(t.Context(), id, wire.CommitRequest{Pause: true, Created: time.Now()}); err == nil {
			t.Fatalf("%s was not reached", point)
		}
		n.diedByItself()
		n.start("")
		if got, code := n.exec(id, "echo", "alive"); got != "alive\n" || code != 0 {
			t.Errorf("%s: the container says %q, %d", point, got, code)
		}
		if s, _ := n.container(id); s.Status != model.StatusRunning {
			t.Errorf("%s: the container is %s", point, s.Status)
		}
	}
	_, err := n.client.Stop(t.Context(), id, wire.StopRequest{})
	n.ok(err)
	n.kill()
	n.start("agent/root-mounted=kill")
	if _, err := n.client.StatPath(t.Context(), id, "/data"); err == nil {
		t.Fatal("the failpoint was not reached")
	}
	n.diedByItself()
	n.start("")
	n.settleMounts()
	_, err = n.client.Remove(t.Context(), id, wire.RemoveRequest{})
	n.ok(err)
	n.wantNothingLeft()
}

// settleMounts waits until no root is mounted.
func (n *node) settleMounts() {
	n.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		mounts, err := os.ReadFile("/proc/self/mounts")
		n.ok(err)
		if !strings.Contains(string(mounts), n.cfg.StateDir+"/images/mounts/") {
			return
		}
		if time.Now().After(deadline) {
			n.Fatalf("a root stays mounted:\n%s", mounts)
		}
	}
}
