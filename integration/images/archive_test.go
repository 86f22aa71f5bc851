package images

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	b := setting.Shared(t).Tenant(t, "archivist")
	one, two := fresh(t, b, "kept:1"), fresh(t, b, "kept:2")
	b.Docker(t, "tag", "kept:1", "also/kept:latest")
	file := filepath.Join(t.TempDir(), "images.tar")
	b.Docker(t, "save", "-o", file, "kept:1", "kept:2", "also/kept")
	entries := entriesOf(t, file)
	for _, want := range []string{"manifest.json", "index.json", "oci-layout", "repositories"} {
		if !slices.Contains(entries, want) {
			t.Errorf("the archive lacks %s: %v", want, entries)
		}
	}
	b.Docker(t, "rmi", "kept:1", "kept:2", "also/kept")

	packed := file + ".gz"
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", "gzip -1 < "+file+" > "+packed).CombinedOutput(); err != nil {
		t.Fatalf("gzip: %v: %s", err, out)
	}
	for _, archive := range []string{file, packed} {
		out := b.Docker(t, "load", "-i", archive)
		for _, name := range []string{"kept:1", "kept:2", "also/kept:latest"} {
			if !strings.Contains(out, "Loaded image: "+name) {
				t.Errorf("docker load says %q, which lacks %s", out, name)
			}
		}
		for name, want := range map[string]string{"kept:1": one, "kept:2": two, "also/kept": one} {
			if got := b.Inspect(t, name, "{{.Id}}"); got != want {
				t.Errorf("%s came back as %s, was %s", name, got, want)
			}
		}
		if out := b.Docker(t, "run", "--rm", "kept:2", "cat", "/etc/made-for"); out != "kept:2" {
			t.Errorf("the image holds %q", out)
		}
		b.Docker(t, "rmi", "kept:1", "kept:2", "also/kept")
	}

	b.Docker(t, "load", "-i", file)
	b.Docker(t, "save", "-o", file+".id", one)
	b.Docker(t, "rmi", "-f", one, two)
	if out := b.Docker(t, "load", "-i", file+".id"); out != "Loaded image ID: "+one {
		t.Errorf("docker load of an image without a name says %q", out)
	}
	refusedWith(t, b, "No such image: nothing:latest", "save", "-o", file+".none", "nothing")
}

// TestLoadOfWhatIsNoArchive tells so, and takes nothing.
func TestLoadOfWhatIsNoArchive(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	random := bigFile(t, 1<<20)
	said := refused(t, b, "load", "-i", random)
	if strings.Contains(said, "internal") || strings.Contains(said, "/var/") || strings.Contains(said, "request ") {
		t.Errorf("of random bytes docker load says %q", said)
	}
	empty := filepath.Join(t.TempDir(), "empty.tar")
	if err := os.WriteFile(empty, make([]byte, 1024), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, b, "load", "-i", empty)
}

func TestExportAndImport(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	container := b.Docker(t, "create", b.Image, "true")
	t.Cleanup(func() { b.Remove(t, container) })
	file := filepath.Join(t.TempDir(), "root.tar")
	b.Docker(t, "export", "-o", file, container)
	name := unique(t) + ":1"
	forget(t, b, name)
	id := b.Docker(t, "import", "-m", "from elsewhere", "-c", `CMD ["echo","imported"]`, "-c", "ENV PATH=/bin", file, name)
	if got := b.Inspect(t, name, "{{.Id}} {{.Comment}} {{len .RootFS.Layers}}"); got != id+" from elsewhere 1" {
		t.Errorf("docker inspect says %s, docker import said %s", got, id)
	}
	if out := b.Docker(t, "run", "--rm", name); out != "imported" {
		t.Errorf("the image runs as %q", out)
	}
	refused(t, b, "import", "http://"+b.Address+"/root.tar", "x:1") // nobody makes a node fetch
}

// TestCommitPushPull has an image that was made here go out, and come back by its digest.
func TestCommitPushPull(t *testing.T) {
	t.Parallel()
	b := ownClient(t)
	r := newRegistry(t, b, registryOptions{})
	name := r.address + "/made/here:1"
	container := b.Run(t, b.Image, "sh", "-c", "echo made > /made; ln -s made /link; chmod 4755 /made; rm /etc/group; sleep 1000")
	b.Docker(t, "exec", container, "sh", "-c", "until test -e /etc/passwd -a ! -e /etc/group; do sleep 0.1; done")
	b.Docker(t, "commit", "-m", "made by hand", "-c", "USER 7", "-c", "WORKDIR /tmp", container, name)
	b.Docker(t, "push", name)
	digest := digestOf(t, b, name)
	b.Docker(t, "rmi", name)
	byDigest := r.address + "/made/here@" + digest
	forget(t, b, byDigest)
	b.Docker(t, "pull", byDigest)
	out := b.Docker(t, "run", "--rm", byDigest, "sh", "-c", "id -u; pwd; cat /link; stat -c %a /made; test -e /etc/group || echo gone")
	if want := "7\n/tmp\nmade\n4755\ngone"; out != want {
		t.Errorf("what was made came back as %q, want %q", out, want)
	}
}

// entriesOf lists the files of an archive.
func entriesOf(t *testing.T, path string) []string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var names []string
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
}
