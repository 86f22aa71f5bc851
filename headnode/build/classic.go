package build

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"

	control "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/filesync"
	"github.com/moby/buildkit/session/grpchijack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
)

// localContext is the name of the context that the client sent.
const (
	localContext    = "context"
	localDockerfile = "dockerfile"
	remoteSession   = "client-session"
)

// Build implements dockerapi.Builds: a build of Docker's older API becomes a
// Solve. The context is offered to the builder as BuildKit's clients offer
// theirs, so that it asks for what changed and no more.
func (s *Service) Build(ctx context.Context, a model.Account, r dockerapi.BuildRequest, tar io.Reader, tell func(dockerapi.BuildStep)) (string, error) {
	client := ctx
	ctx, cancel := context.WithCancel(client)
	defer cancel() // all calls to the builder end with the build
	b, err := s.connect(ctx, a)
	if err != nil {
		return "", err
	}
	defer b.Close()
	solve := solveRequest(r)
	if s.track(a.ID, r.ID, cancel) {
		defer s.untrack(a.ID, r.ID)
	}
	if r.Session == "" {
		offered, err := s.offer(ctx, b, r, tar)
		if err != nil {
			return "", err
		}
		defer offered.close()
		solve.Session = offered.session.ID()
	}
	response, err := b.solve(ctx, solve, r.Session != "", tell)
	if client.Err() != nil {
		return "", client.Err()
	}
	if ctx.Err() != nil { // by its id
		return "", &dockerapi.BuildError{Text: "the build was cancelled"}
	}
	if err != nil {
		return "", explain(err)
	}
	digest := response.ExporterResponse[digestKey]
	if digest == "" {
		return "", nil
	}
	img, err := s.adopt(ctx, b, digest, r.Names)
	return img.ID, err
}

// solveRequest says in BuildKit's words what is to be built. The attributes are
// those of its Dockerfile front end.
func solveRequest(r dockerapi.BuildRequest) *control.SolveRequest {
	attrs := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			attrs[name] = value
		}
	}
	set("filename", r.Dockerfile)
	set("target", r.Target)
	set("platform", r.Platform)
	set("add-hosts", hostList(r.ExtraHosts))
	set("force-network-mode", r.Network)
	if r.NoCache {
		attrs["no-cache"] = ""
	}
	if r.Pull {
		attrs["image-resolve-mode"] = "pull"
	}
	if r.ShmSize > 0 {
		attrs["shm-size"] = strconv.FormatInt(r.ShmSize, 10)
	}
	for name, value := range r.Args {
		attrs["build-arg:"+name] = value
	}
	for name, value := range r.Labels {
		attrs["label:"+name] = value
	}
	var ulimits []string
	for _, u := range r.Ulimits {
		ulimits = append(ulimits, fmt.Sprintf("%s=%d:%d", u.Name, u.Soft, u.Hard))
	}
	set("ulimit", strings.Join(ulimits, ","))
	if r.Remote != "" && r.Remote != remoteSession {
		attrs["context"] = r.Remote
	}
	request := &control.SolveRequest{
		Ref: identity.NewID(), Session: r.Session, Frontend: "dockerfile.v0", FrontendAttrs: attrs, Cache: &control.CacheOptions{},
	}
	for _, ref := range r.CacheFrom {
		request.Cache.Imports = append(request.Cache.Imports, &control.CacheOptionsEntry{Type: "registry", Attrs: map[string]string{"ref": ref}})
	}
	for _, o := range r.Outputs {
		request.Exporters = append(request.Exporters, &control.Exporter{Type: o.Type, Attrs: o.Attrs})
	}
	if len(request.Exporters) == 0 {
		request.Exporters = []*control.Exporter{{Type: mobyExporter, Attrs: map[string]string{namesAttr: strings.Join(r.Names, ",")}}}
	}
	return request
}

func hostList(hosts []string) string {
	var all []string
	for _, h := range hosts {
		name, address, _ := strings.Cut(h, ":")
		all = append(all, name+"="+address)
	}
	return strings.Join(all, ",")
}

// offered is a session on which a builder asks the head for the context.
type offered struct {
	session *session.Session
	spooled *contextFiles
	running sync.WaitGroup
}

// offer takes the context in, and opens a session for it.
func (s *Service) offer(ctx context.Context, b *builder, r dockerapi.BuildRequest, tar io.Reader) (*offered, error) {
	o := &offered{}
	dirs := filesync.StaticDirSource{}
	if r.Remote == "" {
		spooled, err := spool(ctx, tar, s.SpoolDir)
		if err != nil {
			return nil, err
		}
		if err := spooled.checkDockerfile(r.Dockerfile); err != nil {
			spooled.close()
			return nil, err
		}
		o.spooled = spooled
		dirs[localContext], dirs[localDockerfile] = spooled, spooled
	}
	var err error
	if o.session, err = session.NewSession(ctx, b.account.ID); err != nil {
		o.closeFiles()
		return nil, fmt.Errorf("cannot open a session with the builder: %w", err)
	}
	o.session.Allow(filesync.NewFSSyncProvider(dirs))
	o.session.Allow(&credentials{auths: r.Auths})
	o.running.Go(func() {
		o.session.Run(ctx, grpchijack.Dialer(b.control)) // the build fails when it does
	})
	return o, nil
}

func (o *offered) close() {
	o.session.Close()
	o.running.Wait()
	o.closeFiles()
}

func (o *offered) closeFiles() {
	if o.spooled != nil {
		o.spooled.close()
	}
}

// solve has the builder solve, and tells of each step.
func (b *builder) solve(ctx context.Context, r *control.SolveRequest, traced bool, tell func(dockerapi.BuildStep)) (*control.SolveResponse, error) {
	following, stop := context.WithCancel(ctx)
	defer stop()
	type result struct {
		response *control.SolveResponse
		err      error
	}
	solved := make(chan result, 1)
	go func() {
		response, err := b.control.Solve(ctx, r)
		if err != nil {
			stop() // there may be nothing to follow
		}
		solved <- result{response, err}
	}()
	steps := &progress{tell: tell}
	if stream, err := b.control.Status(following, &control.StatusRequest{Ref: r.Ref}); err == nil {
		for {
			m, err := stream.Recv()
			if err != nil {
				break // the end, or that of Solve, which says more
			}
			if !traced {
				steps.add(m)
			} else if trace, err := proto.Marshal(m); err == nil {
				tell(dockerapi.BuildStep{Trace: trace})
			}
		}
	}
	end := <-solved
	return end.response, end.err
}

var processFailed = regexp.MustCompile(`process "(.*)" did not complete successfully: exit code: (\d+)`)

// explain puts a builder's error in the words of Docker's older builder, where
// that had some.
func explain(err error) error {
	text := err.Error()
	if st, ok := status.FromError(err); ok {
		if st.Code() == codes.Unavailable {
			return errBuilderGone
		}
		text = st.Message()
	}
	text = strings.TrimPrefix(text, "failed to solve: ")
	if m := processFailed.FindStringSubmatch(text); m != nil {
		code, _ := strconv.Atoi(m[2]) // the expression has checked it
		return &dockerapi.BuildError{Code: code, Text: fmt.Sprintf("The command '%s' returned a non-zero code: %d", m[1], code)}
	}
	return &dockerapi.BuildError{Text: text}
}

// track remembers how to cancel a build that has an id.
func (s *Service) track(accountID, id string, cancel context.CancelFunc) bool {
	if id == "" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[accountID+" "+id] = cancel
	return true
}

func (s *Service) untrack(accountID, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, accountID+" "+id)
}

// CancelBuild implements dockerapi.Builds for the builds that this head serves;
// package circle asks all heads. One that has ended, or that another head serves,
// is not found here, which is no error, as with Docker.
func (s *Service) CancelBuild(_ context.Context, a model.Account, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel, ok := s.running[a.ID+" "+id]; ok {
		cancel()
	}
	return nil
}

// progress tells of a build's steps as Docker's older builder did.
type progress struct {
	tell  func(dockerapi.BuildStep)
	begun map[string]bool // by digest of the vertex
	done  map[string]bool
}

var stepName = regexp.MustCompile(`^\[(?:\S+ )?(\d+)/(\d+)\] (.*)$`)

func (p *progress) add(m *control.StatusResponse) {
	if p.begun == nil {
		p.begun, p.done = map[string]bool{}, map[string]bool{}
	}
	say := func(format string, args ...any) {
		p.tell(dockerapi.BuildStep{Text: fmt.Sprintf(format, args...)})
	}
	for _, v := range m.Vertexes {
		step := stepName.FindStringSubmatch(v.Name)
		if step == nil || v.Started == nil {
			continue
		}
		if !p.begun[v.Digest] {
			p.begun[v.Digest] = true
			say("Step %s/%s : %s\n", step[1], step[2], plain(step[3]))
			if v.Cached {
				say(" ---> Using cache\n")
			} else if strings.HasPrefix(step[3], "RUN ") {
				say(" ---> Running in %s\n", short(v.Digest))
			}
		}
		if v.Completed != nil && !p.done[v.Digest] {
			p.done[v.Digest] = true
			if v.Error == "" {
				say(" ---> %s\n", short(v.Digest))
			}
		}
	}
	for _, l := range m.Logs {
		if len(l.Msg) > 0 {
			say("%s", l.Msg)
		}
	}
	for _, w := range m.Warnings {
		say("[Warning] %s\n", w.Short)
	}
}

var resolved = regexp.MustCompile(`^(FROM )docker\.io/(?:library/)?(\S+)|(@sha256:[0-9a-f]{64})$`)

// plain is a step as its Dockerfile has it: BuildKit adds what the name of an
// image stands for.
func plain(step string) string {
	if !strings.HasPrefix(step, "FROM ") {
		return step
	}
	return resolved.ReplaceAllString(resolved.ReplaceAllString(step, "$1$2"), "$1$2")
}

func short(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	return hex[:min(12, len(hex))]
}
