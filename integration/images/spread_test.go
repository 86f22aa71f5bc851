package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

var threeNodes = []string{"node-1", "node-2", "node-3"}

// TestImagesOutliveRegistriesAndNodes pulls a private image once. Another node takes a copy,
// and every node runs it when the registry is gone. An image that was made here outlives
// the node that made it. When nobody is left who has one, docker is told so.
func TestImagesOutliveRegistriesAndNodes(t *testing.T) {
	setting.Shared(t) // or a skip
	own, err := setting.New(t.Context(), filepath.Join(t.TempDir(), "rack"), "--nodes", "3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(); err != nil {
			t.Error(err)
		}
	})
	b := own.With("", "DOCKER_CONFIG="+t.TempDir())
	r := newRegistry(t, b, registryOptions{ca: known, htpasswd: true})
	loggedIn(t, b, r.address)
	pushed(t, b, r, "private/tool", "1")
	private := r.address + "/private/tool:1"
	b.Docker(t, "pull", private)
	r.kill()
	b.Docker(t, "logout", r.address)
	copied(t, b, b.Inspect(t, private, "{{.Id}}"))
	ran := map[string]bool{}
	for range threeNodes {
		ran[nodeRunning(t, b, b.Run(t, private, "sleep", "1000"))] = true
	}
	if len(ran) != len(threeNodes) {
		t.Errorf("three containers run on %v", ran)
	}

	maker, copier, lacks := madeAndCopied(t, b, "made-here")
	b.Fault(t, "kill", maker)
	ready(t, b, 2)
	for range threeNodes { // the least used node comes first
		if nodeRunning(t, b, b.Run(t, "made-here", "sleep", "1000")) == lacks {
			lacks = ""
			break
		}
	}
	if lacks != "" {
		t.Errorf("no container of the image came to %s, which had to take it from %s", lacks, copier)
	}
	b.Fault(t, "start", maker)
	ready(t, b, 3)

	maker, copier, _ = madeAndCopied(t, b, "lost")
	b.Fault(t, "kill", maker)
	b.Fault(t, "kill", copier)
	ready(t, b, 1)
	if said := refused(t, b, "run", "-d", "lost", "sleep", "1000"); !strings.Contains(said, "hold the image, which is at no registry") {
		t.Errorf("of an image whose holders are away is told: %s", said)
	}
	b.Fault(t, "start", maker)
	b.Fault(t, "start", copier)
	ready(t, b, 3)
}

// madeAndCopied makes an image and waits until a second node holds it. It returns the names
// of the nodes: who made it, who has the copy, and who has nothing.
func madeAndCopied(t *testing.T, b *bed.Bed, name string) (maker, copier, lacks string) {
	t.Helper()
	container := b.Run(t, b.Image, "sh", "-c", "echo "+name+" > /etc/made; sleep 1000")
	bed.Eventually(t, func() error {
		if done := b.Try(t, "exec", container, "cat", "/etc/made"); done.Code != 0 {
			return errors.New(done.Stderr)
		}
		return nil
	})
	maker = nodeRunning(t, b, container)
	copier = copied(t, b, b.Docker(t, "commit", container, name))
	b.Remove(t, container)
	lacks = threeNodes[slices.IndexFunc(threeNodes, func(n string) bool { return n != maker && n != copier })]
	return maker, copier, lacks
}

// copied waits until a node has taken a copy of an image from another one, and returns its
// name.
func copied(t *testing.T, b *bed.Bed, imageID string) (node string) {
	t.Helper()
	bed.Eventually(t, func() error {
		for _, name := range threeNodes {
			text, err := os.ReadFile(filepath.Join(b.Dir, "logs", name+".log"))
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // not all racks have as many nodes
				return err
			}
			for line := range strings.Lines(string(text)) {
				if strings.Contains(line, "the node holds an image") && strings.Contains(line, imageID) && strings.Contains(line, "copy") {
					node = name
					return nil
				}
			}
		}
		return fmt.Errorf("no node has a copy of %s", imageID)
	})
	return node
}

var hostInCgroup = regexp.MustCompile(`/(node-\d+)`)

// nodeRunning is the name of the node that a container runs on.
func nodeRunning(t *testing.T, b *bed.Bed, container string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", b.Inspect(t, container, "{{.State.Pid}}"), "cgroup"))
	if err != nil {
		t.Fatal(err)
	}
	found := hostInCgroup.FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("the container's cgroups tell of no node: %s", text)
	}
	return found[1]
}

// ready waits until the head hears from so many nodes.
func ready(t *testing.T, b *bed.Bed, count int) {
	t.Helper()
	bed.Eventually(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		out, err := b.Spearhead(ctx, b.Env, "node", "ls")
		if err != nil {
			return err
		}
		if got := strings.Count(out, "ready"); got != count {
			return fmt.Errorf("%d nodes are ready, not %d:\n%s", got, count, out)
		}
		return nil
	})
}
