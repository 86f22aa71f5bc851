package rack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
)

const (
	// stepDeadline bounds the wait for one thing that daemons do; on an idle
	// machine each takes less than a second.
	stepDeadline = 2 * time.Minute
	// aliveInterval is how often daemons are looked at meanwhile. The first
	// look comes after one, when a started process has its own command line.
	aliveInterval = 300 * time.Millisecond
	// shownLines of a log are enough for a cause.
	shownLines = 5
)

// await polls done until it says true. It gives up at once when a daemon of
// the rack has ended, and after stepDeadline; the error then has the end of
// the logs of those hosts that it waits for. goal follows "cannot".
func (r *Rack) await(ctx context.Context, goal string, done func(context.Context) (bool, error), waitsFor func() []host) error {
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	started := waitsFor()
	looked := time.Now()
	err := poll(ctx, 10*time.Millisecond, func() (bool, error) {
		if ok, err := done(ctx); ok || err != nil {
			return ok, err
		}
		if time.Since(looked) < aliveInterval {
			return false, nil
		}
		looked = time.Now()
		return false, r.alive(started)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("cannot %s in time%s", goal, r.lastWords(waitsFor()))
	}
	if err != nil {
		return fmt.Errorf("cannot %s: %w", goal, err)
	}
	return nil
}

// alive returns an error with the end of its log for a host whose daemon has
// ended.
func (r *Rack) alive(hosts []host) error {
	for _, h := range hosts {
		_, runs, err := r.daemonOf(h)
		if err != nil {
			return err
		}
		if !runs {
			return fmt.Errorf("%s ended at its start%s", h.name, r.lastWords([]host{h}))
		}
	}
	return nil
}

// lastWords is the end of hosts' logs and where they are, to follow a message.
func (r *Rack) lastWords(hosts []host) string {
	var text strings.Builder
	for _, h := range hosts {
		fmt.Fprintf(&text, "\nthe end of the log of %s, %s:\n%s", h.name, r.logFile(h), lastLines(r.logFile(h), shownLines))
	}
	return text.String()
}

// lastLines returns up to count lines from the end of a file, indented.
func lastLines(path string, count int) string {
	const most = 4096
	f, err := os.Open(path)
	if err != nil {
		return "  (no log)"
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "  (no log)"
	}
	text := make([]byte, min(info.Size(), most))
	n, _ := f.ReadAt(text, info.Size()-int64(len(text)))
	lines := strings.Split(strings.TrimSpace(string(text[:n])), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-count):], "\n  ")
}

// awaitHead waits until a head answers its operator and can write.
func (r *Rack) awaitHead(ctx context.Context, c *adminapi.Client, h host) error {
	return r.await(ctx, "reach "+h.name, func(ctx context.Context) (bool, error) {
		status, err := c.Status(ctx)
		return err == nil && status.Leader != "", nil
	}, func() []host { return []host{h} })
}

// awaitHeads waits until all heads vote and follow one leader.
func (r *Rack) awaitHeads(ctx context.Context) error {
	missing := r.heads()
	return r.await(ctx, "have all heads agree", func(ctx context.Context) (bool, error) {
		missing = slices.DeleteFunc(r.heads(), func(h host) bool {
			status, err := r.headStatus(ctx, h)
			return err == nil && status.Leader != "" && status.Raft.Heads == r.rec.Heads
		})
		return len(missing) == 0, nil
	}, func() []host { return missing })
}

// headStatus asks a head how it is.
func (r *Rack) headStatus(ctx context.Context, h host) (adminapi.Status, error) {
	c := adminapi.NewClient(r.socket(h))
	defer c.Close()
	return c.Status(ctx)
}

// awaitNodes waits until every node is connected.
func (r *Rack) awaitNodes(ctx context.Context, c *adminapi.Client) error {
	missing := r.hosts()
	return r.await(ctx, "connect the nodes", func(ctx context.Context) (bool, error) {
		nodes, err := c.Nodes(ctx)
		if err != nil {
			return false, nil
		}
		missing = slices.DeleteFunc(r.nodes(), func(h host) bool {
			return slices.ContainsFunc(nodes, func(n adminapi.NodeStatus) bool { return n.Name == h.name && n.Connected })
		})
		return len(missing) == 0, nil
	}, func() []host { return missing })
}
