package zfs

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/spearheadcloud/spearhead/model"
)

// tokenProperty holds, where ZFS knows it, what a stream that broke off has to
// go on with; see zfs-receive(8), -s.
const tokenProperty = "receive_resume_token"

var tokenRule = regexp.MustCompile(`^[0-9]+(-[0-9a-f]+){3}$`)

// ability is whether the ZFS can do something, once that is known.
type ability struct {
	mu         sync.Mutex
	known, can bool
}

// resumes reports whether the ZFS keeps what has come of a stream that breaks
// off. OpenZFS does, zfs-fuse does not.
func (p *Pool) resumes(ctx context.Context) (bool, error) {
	a := &p.resuming
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known {
		return a.can, nil
	}
	_, err := p.run.zfs(ctx, "get", "-Hp", "-o", "value", tokenProperty, p.root)
	switch {
	case err == nil:
		a.known, a.can = true, true
	case strings.Contains(err.Error(), "invalid property"):
		a.known = true
	default:
		return false, fmt.Errorf("cannot tell what ZFS can do: %w", err)
	}
	return a.can, nil
}

// ResumeToken returns what SendRest needs to go on with a stream that broke off
// when ReceiveKept received it into the dataset name, or "" where there is
// nothing to go on with.
func (p *Pool) ResumeToken(ctx context.Context, name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	if can, err := p.resumes(ctx); err != nil || !can {
		return "", err
	}
	out, err := p.run.zfs(ctx, "get", "-Hp", "-o", "value", tokenProperty, p.full(name))
	if model.IsKind(err, model.KindNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot look for half a stream: %w", err)
	}
	if token := strings.TrimSpace(out); tokenRule.MatchString(token) {
		return token, nil
	}
	return "", nil
}

// DropPartial forgets what has come of a stream that broke off. A dataset that
// has nothing of one, or is missing, is no error.
func (p *Pool) DropPartial(ctx context.Context, name string) error {
	if token, err := p.ResumeToken(ctx, name); err != nil || token == "" {
		return err
	}
	if _, err := p.run.zfs(ctx, "receive", "-A", p.full(name)); err != nil {
		return fmt.Errorf("cannot forget half a stream: %w", err)
	}
	return nil
}

// SendRest returns the rest of the stream of a snapshot of which the receiver
// has the beginning, as its token says. KindConflict if that is of another
// snapshot.
func (p *Pool) SendRest(ctx context.Context, snapshot, token string) (io.ReadCloser, error) {
	if err := checkSnapshot(snapshot); err != nil {
		return nil, err
	}
	if !tokenRule.MatchString(token) {
		return nil, model.Errorf(model.KindInvalid, "%.64q is no token of a stream that broke off", token)
	}
	if err := p.checkToken(ctx, snapshot, token); err != nil {
		return nil, fmt.Errorf("cannot go on with a stream: %w", err)
	}
	return p.send(ctx, "-t", token)
}

// checkToken refuses a token that is not of the snapshot. It says what is to be
// sent, and whoever asks has made it; zfs goes by the number in it rather than
// by the name.
func (p *Pool) checkToken(ctx context.Context, snapshot, token string) error {
	explained, err := p.run.zfs(ctx, "send", "-nvt", token)
	if err != nil {
		return err
	}
	out, err := p.run.zfs(ctx, "get", "-Hp", "-o", "value", "guid", p.full(snapshot))
	if err != nil {
		return err
	}
	guid, err := strconv.ParseUint(strings.TrimSpace(out), 10, 64)
	if err != nil {
		return fmt.Errorf("cannot read a snapshot's guid: %w", err)
	}
	said := map[string]string{}
	for line := range strings.Lines(explained) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			said[key] = value
		}
	}
	if said["toname"] != p.full(snapshot) || said["toguid"] != fmt.Sprintf("%#x", guid) {
		return model.Errorf(model.KindConflict, "the stream that broke off is of another snapshot; begin anew")
	}
	return nil
}

// ReceiveKept is Receive, but what has come of a stream that breaks off stays,
// where ZFS can, for ResumeToken.
func (p *Pool) ReceiveKept(ctx context.Context, name string, stream io.Reader) error {
	can, err := p.resumes(ctx)
	if err != nil {
		return err
	}
	if can {
		return p.receive(ctx, name, stream, "-s")
	}
	return p.receive(ctx, name, stream)
}
