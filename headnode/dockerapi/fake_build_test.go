package dockerapi

import (
	"context"
	"io"
	"net"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// fakeBuilds builds nothing, and tells of every build the same.
type fakeBuilds struct{ *fake }

// builtID is of what every build makes.
var builtID = "sha256:" + strings.Repeat("b", 64)

func (f fakeBuilds) Build(_ context.Context, _ model.Account, r BuildRequest, tar io.Reader, tell func(BuildStep)) (string, error) {
	content, err := io.ReadAll(tar)
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.written = append(f.asked, "build"), content
	f.build = r
	if f.fail != nil {
		return "", f.fail
	}
	tell(BuildStep{Text: "Step 1/2 : FROM busybox\n"})
	tell(BuildStep{Trace: []byte{1, 2}})
	if f.buildFails != nil {
		return "", f.buildFails
	}
	return builtID, nil
}

func (f fakeBuilds) CancelBuild(_ context.Context, _ model.Account, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, "cancel "+id)
	return nil
}

// echo gives back what it is given.
func (f fakeBuilds) echo(ready func() (net.Conn, error)) error {
	if f.fail != nil {
		return f.fail
	}
	conn, err := ready()
	if err != nil {
		return err
	}
	_, err = io.Copy(conn, conn)
	return err
}

func (f fakeBuilds) ServeBuilder(_ context.Context, _ model.Account, ready func() (net.Conn, error)) error {
	return f.echo(ready)
}

func (f fakeBuilds) JoinSession(_ context.Context, _ model.Account, _ map[string][]string, ready func() (net.Conn, error)) error {
	return f.echo(ready)
}

func (f fakeBuilds) BuildCache(context.Context, model.Account) ([]BuildRecord, error) {
	return f.cache, nil
}

func (f fakeBuilds) PruneBuilds(_ context.Context, _ model.Account, r PruneBuildsRequest) (removed []string, reclaimed int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pruned = r
	for _, record := range f.cache {
		removed = append(removed, record.ID)
		reclaimed += record.Size
	}
	return removed, reclaimed, nil
}
