package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/network"
	"github.com/spearheadcloud/spearhead/wire"
)

// Program is what a builder runs.
const Program = "spearhead-buildkitd"

// Network makes network namespaces, as for containers.
type Network interface {
	Attach(ctx context.Context, a network.Attachment) (netns string, err error)
	Detach(ctx context.Context, container string) error
}

// Images is what builders need of the node's images.
type Images interface {
	Blob(ctx context.Context, digest string, offset int64) (wire.Blob, error)
	CopyImage(ctx context.Context, r wire.CopyRequest) (wire.PullStream, error)
}

// Config says what builders stand on.
type Config struct {
	StateDir string // of caches, a folder an account
	RunDir   string // of sockets
	// Mounts are the folders below which the node mounts what containers use.
	// Builders let go of all that: as long as one has a copy of such a mount,
	// what it shows cannot be destroyed.
	Mounts       []string
	CgroupParent string // below each hierarchy's root
	CgroupRoot   string // "" is /sys/fs/cgroup
	Program      string // "" is found beside this program, or in PATH
	Idle         time.Duration
	Network      Network
	Images       Images
	// Registry reaches a registry, host or host:port, by the node's rules.
	Registry func(host string) (http.RoundTripper, error)
	Logger   *slog.Logger
}

// Builders are the builders of a node. They are safe for concurrent use.
type Builders struct {
	cfg Config

	mu     sync.Mutex
	closed bool
	active map[string]*builder // by account
	ended  sync.WaitGroup
}

// usualIdle is how long a builder outlives its last stream.
const usualIdle = 5 * time.Minute

// Open returns the builders of a node: none, after what a former agent left
// was removed. Builders end with their agent, so only names are left.
func Open(ctx context.Context, c Config) (*Builders, error) {
	if c.Idle == 0 {
		c.Idle = usualIdle
	}
	if c.CgroupRoot == "" {
		c.CgroupRoot = "/sys/fs/cgroup"
	}
	b := &Builders{cfg: c, active: map[string]*builder{}}
	left, err := os.ReadDir(c.RunDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the builders' folder: %w", err)
	}
	for _, e := range left {
		if err := b.clean(ctx, e.Name()); err != nil {
			return nil, err
		}
	}
	return b, os.MkdirAll(c.RunDir, 0o700)
}

// clean removes all of an account's builder but its cache.
func (b *Builders) clean(ctx context.Context, accountID string) error {
	return errors.Join(
		b.group(accountID).remove(ctx),
		b.cfg.Network.Detach(ctx, model.BuilderSandbox(accountID)),
		os.RemoveAll(b.runDir(accountID)),
	)
}

func (b *Builders) runDir(accountID string) string { return filepath.Join(b.cfg.RunDir, accountID) }
func (b *Builders) cacheDir(accountID string) string {
	return filepath.Join(b.cfg.StateDir, accountID)
}

func (b *Builders) group(accountID string) group {
	return group{root: b.cfg.CgroupRoot, path: filepath.Join(b.cfg.CgroupParent, model.BuilderSandbox(accountID))}
}

var accountRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// Dial connects to the account's builder, which it starts if none runs.
func (b *Builders) Dial(ctx context.Context, r wire.BuilderRequest) (wire.Stream, error) {
	if !accountRule.MatchString(r.Account.ID) {
		return nil, model.Errorf(model.KindInvalid, "cannot build for account %q: it has no valid id", r.Account.ID)
	}
	one, err := b.get(ctx, r)
	if err != nil {
		return nil, err
	}
	one.door.setImages(r.Images)
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", one.socket())
	if err != nil {
		b.release(one)
		return nil, model.WrapError(model.KindUnavailable, err, "the builder does not answer; try again")
	}
	return &stream{UnixConn: conn.(*net.UnixConn), release: sync.OnceFunc(func() { b.release(one) })}, nil
}

// get returns the account's builder, used once more.
func (b *Builders) get(ctx context.Context, r wire.BuilderRequest) (*builder, error) {
	program, err := b.program()
	if err != nil {
		return nil, err
	}
	for {
		one, usable, err := b.claim(program, r)
		if err != nil {
			return nil, err
		}
		wanted := one.gone // another can be started when this one has ended
		if usable {
			wanted = one.started
		}
		select {
		case <-wanted:
		case <-ctx.Done():
			if usable {
				b.release(one)
			}
			return nil, ctx.Err()
		}
		if !usable {
			continue
		}
		if one.err != nil {
			b.release(one)
			return nil, one.err
		}
		return one, nil
	}
}

// claim finds or starts the account's builder. One that is about to end is
// not usable; any other is used once more.
func (b *Builders) claim(program string, r wire.BuilderRequest) (one *builder, usable bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, false, model.Errorf(model.KindUnavailable, "the node is shutting down; try again when it is back")
	}
	if one = b.active[r.Account.ID]; one == nil {
		one = newBuilder(b, program, r)
		b.active[r.Account.ID] = one
	}
	if one.streams == 0 && one.cutShort() {
		one.end()
	}
	if one.ending {
		return one, false, nil
	}
	one.streams++
	one.idle.Stop()
	return one, true, nil
}

// forget takes a builder that has ended off the list.
func (b *Builders) forget(one *builder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one.ending = true
	delete(b.active, one.account)
}

// release ends one use of a builder.
func (b *Builders) release(one *builder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one.streams--; one.streams == 0 && !one.ending {
		one.idle.Reset(b.cfg.Idle)
	}
}

// idled ends a builder that nobody has used for a while.
func (b *Builders) idled(one *builder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one.streams == 0 {
		one.end()
	}
}

// End ends the account's builder, if it runs, and waits for its end; with
// forget it also removes its cache.
func (b *Builders) End(ctx context.Context, accountID string, forget bool) error {
	if !accountRule.MatchString(accountID) {
		return model.Errorf(model.KindInvalid, "account %q has no valid id", accountID)
	}
	b.mu.Lock()
	one := b.active[accountID]
	if one != nil {
		one.end()
	}
	b.mu.Unlock()
	if one != nil {
		select {
		case <-one.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !forget {
		return nil
	}
	return os.RemoveAll(b.cacheDir(accountID))
}

// List tells of all builders that run, and of the caches of those that do not.
func (b *Builders) List() ([]wire.BuilderInfo, error) {
	caches, err := os.ReadDir(b.cfg.StateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list the builders' caches: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []wire.BuilderInfo
	for account := range b.active {
		all = append(all, wire.BuilderInfo{AccountID: account, Runs: true})
	}
	for _, cache := range caches {
		if _, runs := b.active[cache.Name()]; !runs {
			all = append(all, wire.BuilderInfo{AccountID: cache.Name()})
		}
	}
	return all, nil
}

// Close ends all builders and waits for their ends.
func (b *Builders) Close() {
	b.mu.Lock()
	b.closed = true
	for _, one := range b.active {
		one.end()
	}
	b.mu.Unlock()
	b.ended.Wait()
}

// program finds what a builder runs, and runc, which runs the steps of builds.
func (b *Builders) program() (string, error) {
	missing := func(name string) error {
		return model.Errorf(model.KindNotImplemented, "this node carries no builds out: %s is not installed there; ask the operator of the data center for it", name)
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return "", missing("runc")
	}
	if b.cfg.Program != "" {
		return b.cfg.Program, nil
	}
	if self, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(self), Program); isProgram(beside) {
			return beside, nil
		}
	}
	found, err := exec.LookPath(Program)
	if err != nil {
		return "", missing(Program)
	}
	return found, nil
}

func isProgram(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

// stream is a connection to a builder.
type stream struct {
	*net.UnixConn
	release func()
}

// Close implements wire.Stream.
func (s *stream) Close() error {
	s.release()
	return s.UnixConn.Close()
}
