package build

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/moby/buildkit/session/grpchijack"

	"github.com/spearheadcloud/spearhead/model"
)

// JoinSession implements dockerapi.Builds: it joins a client's connection to
// the account's builder as a session, on which the builder asks the client for
// files, credentials, secrets and keys.
func (s *Service) JoinSession(ctx context.Context, a model.Account, meta map[string][]string, ready func() (net.Conn, error)) error {
	b, err := s.connect(ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	session, err := grpchijack.Dialer(b.control)(ctx, "h2c", sessionMeta(meta))
	if err != nil {
		return model.WrapError(model.KindUnavailable, err, "the builder takes no session; try again")
	}
	conn, err := ready()
	if err != nil {
		return err
	}
	end := sync.OnceFunc(func() {
		cancel()
		conn.Close()
	})
	defer context.AfterFunc(ctx, end)()
	var copying sync.WaitGroup
	for _, way := range [][2]net.Conn{{conn, session}, {session, conn}} {
		copying.Go(func() {
			defer end()
			io.Copy(way[0], way[1]) // ends when either end has gone
		})
	}
	copying.Wait()
	return nil
}

// sessionPrefix begins the names of headers that describe a session.
const sessionPrefix = "x-docker-expose-session-"

// sessionMeta picks what describes a session out of a request's headers: the
// others are of the connection.
func sessionMeta(headers map[string][]string) map[string][]string {
	meta := map[string][]string{}
	for name, values := range headers {
		if name = strings.ToLower(name); strings.HasPrefix(name, sessionPrefix) {
			meta[name] = values
		}
	}
	return meta
}
