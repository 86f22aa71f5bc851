package dockerapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// fake is a small data center in memory: its containers print their arguments,
// copy their input to their output, and end with the code of "exit N".
type fake struct {
	mu         sync.Mutex
	account    model.Account
	refused    error // what Authenticate answers
	containers []*model.Container
	number     uint64
	running    map[string]*fakeProcess
	execs      map[string]*wire.ExecState
	events     []model.Event
	images     []Image
	changed    chan struct{}
	codes      map[string]int // how containers ended, removed ones too
	created    []model.CreateContainer
	asked      []string // calls that would change something
	fail       error    // what changing calls answer
	pull       func(func(wire.PullProgress)) (PullResult, error)
	pulled     PullRequest
	logged     wire.LogsRequest
	sizes      []wire.TerminalSize

	sampled     int // how often something was measured
	cgroups     int // version of them, 1 unless said
	archive     io.Reader
	differences []model.FileChange
	unpacked    wire.WriteArchiveRequest
	written     []byte
	committed   CommitRequest

	moved fakeTransfers

	volumes  []Volume
	networks []model.Network
	pools    []NetworkPool
	endpoint model.Endpoint

	build      BuildRequest
	buildFails error // after the first step
	cache      []BuildRecord
	pruned     PruneBuildsRequest
}

// fakeProcess is the streams of a container or an exec.
type fakeProcess struct {
	stdin    *io.PipeReader
	stdinW   *io.PipeWriter
	stdout   *io.PipeReader
	stdoutW  *io.PipeWriter
	attached chan struct{}
}

func newFakeProcess() *fakeProcess {
	p := &fakeProcess{attached: make(chan struct{})}
	p.stdin, p.stdinW = io.Pipe()
	p.stdout, p.stdoutW = io.Pipe()
	return p
}

func (p *fakeProcess) Read(b []byte) (int, error)  { return p.stdout.Read(b) }
func (p *fakeProcess) Write(b []byte) (int, error) { return p.stdinW.Write(b) }
func (p *fakeProcess) CloseWrite() error           { return p.stdinW.Close() }
func (p *fakeProcess) Close() error {
	p.stdinW.Close()
	return p.stdout.Close()
}

var fakeNetwork = model.Network{ID: strings.Repeat("n", 64), Name: "external", Default: true}

func newFake() *fake {
	f := &fake{
		account: model.Account{ID: "a1", Login: "jill", Policy: model.PolicyTenant},
		running: map[string]*fakeProcess{}, execs: map[string]*wire.ExecState{}, changed: make(chan struct{}), codes: map[string]int{},
	}
	f.images = []Image{{
		Image: model.Image{
			ID: "sha256:" + strings.Repeat("1", 64), Digest: "sha256:" + strings.Repeat("d", 64), OS: "linux", Architecture: "amd64",
			Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Size: 4_200_000, DiffIDs: []string{"sha256:" + strings.Repeat("f", 64)},
			Config:  model.ImageConfig{Cmd: []string{"sh"}, Env: []string{"PATH=/bin"}, Labels: map[string]string{"made": "here"}},
			History: []model.ImageHistory{{CreatedBy: "ADD root", Size: 4_200_000}, {CreatedBy: "CMD sh", EmptyLayer: true}},
		},
		Names: []model.ImageName{{Ref: "docker.io/library/busybox:latest", Digest: "sha256:" + strings.Repeat("e", 64)}},
	}}
	return f
}

func (f *fake) changedNow() {
	f.number++
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fake) handler() http.Handler { return New(f.config()) }

func (f *fake) config() Config {
	return Config{
		Auth: f, Containers: f, Control: f, Usage: f, Files: f, Execs: f, Builds: fakeBuilds{f}, Images: fakeImages{f}, Pruner: f, Transfers: fakeImages{f}, Registries: fakeImages{f}, Networks: f, Connections: f, Volumes: fakeVolumes{f}, System: f, Version: "0.1.0",
	}
}

// serve starts the API in front of f.
func (f *fake) serve(t testing.TB) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f.handler())
	t.Cleanup(s.Close)
	return s
}

func (f *fake) Authenticate(r *http.Request) (model.Account, error) { return f.account, f.refused }

func (f *fake) find(ref string) (*model.Container, error) {
	return lookUp(f.containers, ref)
}

// change notes a call, and calls do on the container unless f is to fail.
func (f *fake) change(call, ref string, do func(*model.Container) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, call)
	if f.fail != nil {
		return f.fail
	}
	c, err := f.find(ref)
	if err != nil {
		return err
	}
	if err := do(c); err != nil {
		return err
	}
	f.changedNow()
	return nil
}

func (f *fake) Create(_ context.Context, a model.Account, r model.CreateContainer) (model.Container, []string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.created = append(f.created, r)
	if f.fail != nil {
		return model.Container{}, nil, f.fail
	}
	if len(r.Unsupported) > 0 {
		return model.Container{}, nil, model.Errorf(model.KindNotImplemented, "not supported: %s", strings.Join(r.Unsupported, ", "))
	}
	if normalName(r.Spec.Image) != f.images[0].Names[0].Ref {
		return model.Container{}, nil, model.Errorf(model.KindNotFound, "No such image: %s", r.Spec.Image)
	}
	c := &model.Container{
		ID: model.NewID(), Name: r.Name, AccountID: a.ID, Created: time.Now(), Phase: model.PhaseCreated,
		Spec: r.Spec, DockerRequest: r.DockerRequest, State: model.ContainerState{Status: model.StatusCreated},
		NICs: []model.NIC{{
			NetworkID: fakeNetwork.ID, Interface: "eth0", MAC: "02:00:00:00:00:07", Primary: true,
			Address: netip.MustParsePrefix("10.88.0.7/16"), Gateway: netip.MustParseAddr("10.88.0.1"),
		}},
	}
	if c.Name == "" {
		c.Name = "quiet_" + c.ID[:6]
	}
	c.Spec.ImageID = f.images[0].ID
	f.containers = slices.Insert(f.containers, 0, c)
	f.running[c.ID] = newFakeProcess()
	f.changedNow()
	return *c, nil, nil
}

func (f *fake) Get(_ context.Context, _ model.Account, ref string) (model.Container, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.find(ref)
	if err != nil {
		return model.Container{}, err
	}
	return *c, nil
}

func (f *fake) List(context.Context, model.Account) ([]*model.Container, uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*model.Container, len(f.containers))
	for i, c := range f.containers {
		copied := *c
		all[i] = &copied
	}
	return all, f.number, nil
}

func (f *fake) Start(_ context.Context, _ model.Account, ref string) error {
	return f.change("start", ref, func(c *model.Container) error {
		if c.State.Status.Running() {
			return model.Errorf(model.KindNotModified, "running already")
		}
		c.State.Status, c.State.StartedAt, c.State.Pid = model.StatusRunning, time.Now(), 42
		go f.run(c.ID, f.running[c.ID], c.Spec.Args(), c.Spec.Tty, c.Spec.OpenStdin, func(code int) { f.ended(c.ID, code) })
		return nil
	})
}

// run is a process: echo its arguments, copy its input, exit.
func (f *fake) run(id string, p *fakeProcess, args []string, tty, stdin bool, ended func(code int)) {
	out := io.Writer(p.stdoutW)
	if !tty {
		out = stdcopyWriter{p.stdoutW, stdcopy.Stdout}
	}
	code := 0
	switch {
	case len(args) > 0 && args[0] == "cat" && stdin:
		io.Copy(out, p.stdin)
	case len(args) > 1 && args[0] == "exit":
		fmt.Sscan(args[1], &code)
	case len(args) > 0 && args[0] == "sleep":
		io.Copy(io.Discard, p.stdin)
	case len(args) > 1:
		select {
		case <-p.attached:
			fmt.Fprintln(out, strings.Join(args[1:], " "))
		case <-time.After(200 * time.Millisecond): // nobody reads
		}
	}
	ended(code)
	p.stdoutW.Close()
}

// stdcopyWriter frames what is written.
type stdcopyWriter struct {
	w      io.Writer
	stream stdcopy.StdType
}

func (s stdcopyWriter) Write(p []byte) (int, error) {
	n := len(p)
	frame := append([]byte{byte(s.stream), 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, p...)
	_, err := s.w.Write(frame)
	return n, err
}

func (f *fake) ended(id string, code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.find(id)
	if err != nil {
		return
	}
	c.State.Status, c.State.ExitCode, c.State.FinishedAt, c.State.Pid = model.StatusExited, code, time.Now(), 0
	f.codes[id] = code
	if c.Spec.AutoRemove {
		f.containers = slices.DeleteFunc(f.containers, func(o *model.Container) bool { return o.ID == id })
	}
	f.changedNow()
}

func (f *fake) Stop(_ context.Context, _ model.Account, ref string, r wire.StopRequest) error {
	return f.change("stop", ref, func(c *model.Container) error {
		if !c.State.Status.Running() {
			return model.Errorf(model.KindNotModified, "stopped already")
		}
		f.running[c.ID].stdinW.Close()
		return nil
	})
}

func (f *fake) Restart(_ context.Context, _ model.Account, ref string, r wire.StopRequest) error {
	return f.change("restart", ref, func(*model.Container) error { return nil })
}

func (f *fake) Kill(_ context.Context, _ model.Account, ref string, r wire.KillRequest) error {
	return f.change("kill", ref, func(c *model.Container) error {
		if !c.State.Status.Running() {
			return model.Errorf(model.KindConflict, "container %s is not running", c.ID)
		}
		f.running[c.ID].stdinW.Close()
		return nil
	})
}

func (f *fake) Remove(_ context.Context, _ model.Account, ref string, r wire.RemoveRequest) error {
	return f.change("remove", ref, func(c *model.Container) error {
		if c.State.Status.Running() && !r.Force {
			return model.Errorf(model.KindConflict, "cannot remove container %q: container is running: stop the container before removing or force remove", "/"+c.Name)
		}
		f.containers = slices.DeleteFunc(f.containers, func(o *model.Container) bool { return o.ID == c.ID })
		return nil
	})
}

func (f *fake) Rename(_ context.Context, _ model.Account, ref, name string) error {
	return f.change("rename", ref, func(c *model.Container) error { c.Name = name; return nil })
}

func (f *fake) Wait(ctx context.Context, a model.Account, ref string, cond WaitCondition, registered func()) (WaitResult, error) {
	c, err := f.Get(ctx, a, ref)
	if err != nil {
		return WaitResult{}, err
	}
	first := true
	for {
		f.mu.Lock()
		now, err := f.find(c.ID)
		changed, code := f.changed, f.codes[c.ID]
		if err == nil {
			c = *now
		}
		f.mu.Unlock()
		stopped := err != nil || c.State.Status == model.StatusExited || cond == WaitNotRunning && !c.State.Status.Running()
		if stopped && !(first && cond == WaitNextExit) && !(cond == WaitRemoved && err == nil) {
			return WaitResult{ExitCode: code}, nil
		}
		if first {
			registered()
			first = false
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return WaitResult{}, ctx.Err()
		}
	}
}

func (f *fake) Resize(_ context.Context, _ model.Account, ref string, s wire.TerminalSize) error {
	return f.change("resize", ref, func(*model.Container) error { f.sizes = append(f.sizes, s); return nil })
}

func (f *fake) Top(ctx context.Context, a model.Account, ref, psArgs string) (wire.Processes, error) {
	_, err := f.Get(ctx, a, ref)
	return wire.Processes{Titles: []string{"PID", "CMD"}, Rows: [][]string{{"1", "sh " + psArgs}}}, err
}

func (f *fake) Attach(ctx context.Context, a model.Account, ref string, r wire.AttachRequest) (wire.Stream, error) {
	c, err := f.Get(ctx, a, ref)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.running[c.ID]
	close(p.attached)
	context.AfterFunc(ctx, func() { p.Close() }) // as a stream from a node does
	return p, nil
}

func (f *fake) Logs(ctx context.Context, a model.Account, ref string, r wire.LogsRequest) (io.ReadCloser, error) {
	f.mu.Lock()
	f.logged = r
	f.mu.Unlock()
	var b bytes.Buffer
	fmt.Fprintln(stdcopyWriter{&b, stdcopy.Stdout}, "a line")
	fmt.Fprintln(stdcopyWriter{&b, stdcopy.Stderr}, "a complaint")
	return io.NopCloser(&b), nil
}

func (f *fake) CreateExec(ctx context.Context, a model.Account, ref string, s wire.ExecSpec) (string, error) {
	c, err := f.Get(ctx, a, ref)
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.ID = model.NewID()
	f.execs[s.ID] = &wire.ExecState{ID: s.ID, ContainerID: c.ID, Spec: s}
	return s.ID, nil
}

func (f *fake) exec(id string) (*wire.ExecState, error) {
	if e, ok := f.execs[id]; ok {
		return e, nil
	}
	return nil, model.Errorf(model.KindNotFound, "No such exec instance: %s", id)
}

func (f *fake) StartExec(_ context.Context, _ model.Account, id string, r wire.ExecStartRequest) (wire.Stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.exec(id)
	if err != nil {
		return nil, err
	}
	e.Running = true
	p := newFakeProcess()
	close(p.attached)
	go f.run(id, p, e.Spec.Args, e.Spec.Tty, e.Spec.Stdin, func(code int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		e.Running, e.ExitCode = false, &code
	})
	if r.Detach {
		go io.Copy(io.Discard, p)
		return nil, nil
	}
	return p, nil
}

func (f *fake) ResizeExec(_ context.Context, _ model.Account, id string, s wire.TerminalSize) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.exec(id)
	return err
}

func (f *fake) InspectExec(_ context.Context, _ model.Account, id string) (wire.ExecState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.exec(id)
	if err != nil {
		return wire.ExecState{}, err
	}
	return *e, nil
}

func (f *fake) Info(context.Context, model.Account) (SystemInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := map[model.Status]int{}
	for _, c := range f.containers {
		counts[c.State.Status]++
	}
	node := model.NodeInfo{CPUs: 4, Capacity: model.Resources{Memory: 8 << 30}, Kernel: "6.18", OperatingSystem: "Debian 12", Architecture: "amd64", Storage: "overlay", Runtime: "crun 1.8.1", Init: "tini 0.19.0", CgroupVersion: 2, Seccomp: true}
	return SystemInfo{ID: "dc", Name: "rack", Nodes: []model.Node{{Info: node}, {Info: node}}, Containers: counts, Images: len(f.images), Heads: 1, Leader: "h1"}, nil
}

// Place has every node answer, but the one that is called lost.
func (f *fake) Place(_ context.Context, nodeID string) (Place, bool) {
	if nodeID == "" {
		return Place{Connected: true}, false
	}
	return Place{ID: nodeID, Name: "name-of-" + nodeID, Connected: nodeID != "lost", CPUs: 4, Memory: 8 << 30}, true
}

func (f *fake) Network(_ context.Context, id string) (model.Network, error) {
	if id != fakeNetwork.ID {
		return model.Network{}, model.Errorf(model.KindNotFound, "network %s not found", id)
	}
	return fakeNetwork, nil
}

func (f *fake) CA() []byte { return []byte("-----BEGIN CERTIFICATE-----\n") }

func (f *fake) Events(ctx context.Context, _ model.Account, since, until time.Time, send func(model.Event) error) error {
	for _, e := range f.events {
		if !since.IsZero() && !e.Time.Before(since) {
			if err := send(e); err != nil {
				return err
			}
		}
	}
	if !until.IsZero() && until.Before(time.Now()) {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// fakeImages are the images of a fake: their Get and List have other
// signatures than those of containers.
type fakeImages struct{ f *fake }

func (i fakeImages) Pull(_ context.Context, _ model.Account, r PullRequest, progress func(wire.PullProgress)) (PullResult, error) {
	i.f.pulled = r
	if i.f.pull == nil {
		return PullResult{}, errors.New("no registry")
	}
	return i.f.pull(progress)
}

func (i fakeImages) Get(_ context.Context, _ model.Account, ref string) (Image, error) {
	at := slices.IndexFunc(i.f.images, func(i Image) bool { return isImage(&i, ref) })
	if at < 0 {
		return Image{}, model.Errorf(model.KindNotFound, "No such image: %s", ref)
	}
	return i.f.images[at], nil
}

func (i fakeImages) List(context.Context, model.Account) ([]Image, error) { return i.f.images, nil }

func (i fakeImages) Tag(ctx context.Context, a model.Account, ref, repo, tag string) error {
	i.f.asked = append(i.f.asked, "tag")
	_, err := i.Get(ctx, a, ref)
	return err
}

func (i fakeImages) Remove(ctx context.Context, a model.Account, ref string, force bool) (RemovedImage, error) {
	found, err := i.Get(ctx, a, ref)
	return RemovedImage{Untagged: []string{ref}, Deleted: []string{found.ID}}, err
}

// request sends a request and returns the status and the body.
func request(t testing.TB, s *httptest.Server, method, path, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := *s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}
