package names

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/network/resolver"
)

// ClientConfig says which process a Client has.
type ClientConfig struct {
	// Command is the program and its first arguments; flags of Config are
	// appended: --run-dir, --resolv-conf and --version.
	Command    []string
	RunDir     string
	ResolvConf string
	Version    string
	// Restored is called when there is a new process, which knows nothing yet:
	// whoever has containers serves them again. ctx ends with that process.
	Restored func(ctx context.Context)
	Logger   *slog.Logger
}

// Client is a House in another process, which it starts when there is none. Its
// methods may be called by many goroutines at once. Those that find the process
// gone wait for the next one, for a moment.
type Client struct {
	cfg    ClientConfig
	http   *http.Client
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu    sync.Mutex
	ready chan struct{} // closed while there is a process
	nth   int           // how many there were before it

	telling sync.Mutex         // held while something is told; guards what follows
	told    map[string]Network // last, whether it arrived or not; nil: never
	known   map[string]Network // what the process knows that was the nth
	knower  int                // that one, or -1
}

// moment is for how long a call waits for a process, and startLimit for how
// long one may take to start.
const (
	moment     = 10 * time.Second
	startLimit = time.Minute
)

// OpenClient finds the process, or starts one, and keeps one until Close.
func OpenClient(ctx context.Context, cfg ClientConfig) (*Client, error) {
	path := filepath.Join(cfg.RunDir, socketName)
	if len(path) > 100 {
		return nil, errors.New("cannot resolve names: the run directory's path is too long for a socket in it")
	}
	c := &Client{cfg: cfg, ready: make(chan struct{}), knower: -1, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
		MaxIdleConnsPerHost: 16,
	}}}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	held, err := c.connect(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	close(c.ready)
	c.work.Go(func() { c.keep(background, held) })
	return c, nil
}

// Close lets go of the process, which goes on while it has containers.
func (c *Client) Close() error {
	c.cancel()
	c.work.Wait()
	c.http.CloseIdleConnections()
	return nil
}

// keep waits for the end of the process, and starts the next one.
func (c *Client) keep(ctx context.Context, held io.ReadCloser) {
	for {
		c.await(ctx, held)
		if ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		c.ready = make(chan struct{})
		c.nth++
		c.mu.Unlock()
		c.cfg.Logger.Warn("the process that resolves names is gone; starting another one", "op", "names")
		var err error
		for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
			if held, err = c.connect(ctx); err == nil {
				break
			}
			c.cfg.Logger.Error("the process that resolves names does not start", "op", "names", "err", err)
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
		c.mu.Lock()
		close(c.ready)
		c.mu.Unlock()
		held = c.restore(ctx, held)
	}
}

// await returns when the process has ended, or ctx has.
func (c *Client) await(ctx context.Context, held io.ReadCloser) {
	stop := context.AfterFunc(ctx, func() { held.Close() })
	defer stop()
	defer held.Close()
	_, _ = io.Copy(io.Discard, held)
}

// restore has a new process know what the last one did. It is given up when
// that process ends too, which is when what is returned does.
func (c *Client) restore(ctx context.Context, held io.ReadCloser) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	c.work.Go(func() {
		c.telling.Lock()
		if c.told != nil {
			if err := c.tell(ctx, c.told); err != nil {
				c.cfg.Logger.Warn("cannot tell a new process of names what is known", "op", "names", "err", err)
			}
		}
		c.telling.Unlock()
		c.cfg.Restored(ctx)
	})
	return &hold{held, cancel}
}

// awaitReady returns when there is a process, and which one that is.
func (c *Client) awaitReady(ctx context.Context) (nth int, err error) {
	c.mu.Lock()
	ready := c.ready
	c.mu.Unlock()
	select {
	case <-ready:
	case <-ctx.Done():
		return 0, fmt.Errorf("cannot reach the process that resolves names: %w", ctx.Err())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nth, nil
}

// Serve is as of a House.
func (c *Client) Serve(ctx context.Context, id string, who Container) (ports resolver.Ports, err error) {
	err = c.call(ctx, http.MethodPut, "/containers/"+url.PathEscape(id), who, &ports)
	return ports, err
}

// Drop is as of a House.
func (c *Client) Drop(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/containers/"+url.PathEscape(id), nil, nil)
}

// Keep is as of a House.
func (c *Client) Keep(ctx context.Context, ids []string) error {
	return c.call(ctx, http.MethodPut, "/containers", ids, nil)
}

// Stats is as of a House.
func (c *Client) Stats(ctx context.Context) (s Stats, err error) {
	err = c.call(ctx, http.MethodGet, "/stats", nil, &s)
	return s, err
}

// Tell is as of a House. Only what differs is sent.
func (c *Client) Tell(ctx context.Context, networks map[string]Network) error {
	c.telling.Lock()
	defer c.telling.Unlock()
	return c.tell(ctx, networks)
}

// tell is Tell for who holds telling.
func (c *Client) tell(ctx context.Context, networks map[string]Network) error {
	c.told = networks
	return c.insist(ctx, func(ctx context.Context, nth int) error {
		say := change{Whole: true, Networks: networks}
		if c.knower == nth {
			say = difference(c.known, networks)
			if len(say.Networks) == 0 && len(say.Gone) == 0 {
				return nil
			}
		}
		c.knower = -1 // until it answers
		err := c.ask(ctx, http.MethodPut, "/networks", say, nil)
		if isRefusal(err) && !say.Whole { // by the next one already, which knows nothing
			err = c.ask(ctx, http.MethodPut, "/networks", change{Whole: true, Networks: networks}, nil)
		}
		if err != nil {
			return err
		}
		c.known, c.knower = networks, nth
		return nil
	})
}

// difference is what has to be told to who knows has, for it to know want.
func difference(has, want map[string]Network) change {
	say := change{Networks: map[string]Network{}}
	for id, n := range want {
		if before, ok := has[id]; !ok || !reflect.DeepEqual(before, n) {
			say.Networks[id] = n
		}
	}
	for id := range has {
		if _, stays := want[id]; !stays {
			say.Gone = append(say.Gone, id)
		}
	}
	return say
}

// call asks the process for something.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	return c.insist(ctx, func(ctx context.Context, _ int) error { return c.ask(ctx, method, path, in, out) })
}

// insist does something again if the process ended meanwhile: all that is asked
// may be asked again.
func (c *Client) insist(ctx context.Context, do func(ctx context.Context, nth int) error) error {
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	for {
		nth, err := c.awaitReady(ctx)
		if err != nil {
			return err
		}
		err = do(ctx, nth)
		if err == nil || isRefusal(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond): // its end is noticed by then
		case <-ctx.Done():
			return err
		}
	}
}

// failureError is what the process said.
type failureError struct{ text string }

func (e *failureError) Error() string { return e.text }

func isRefusal(err error) bool {
	var refused *failureError
	return errors.As(err, &refused)
}

func (c *Client) ask(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("cannot ask the process that resolves names: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://names"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("cannot ask the process that resolves names: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		var f failure
		if err := json.NewDecoder(answer.Body).Decode(&f); err != nil {
			return fmt.Errorf("cannot read why names are not resolved: %w", err)
		}
		return &failureError{f.Text}
	}
	if out == nil {
		_, err = io.Copy(io.Discard, answer.Body)
	} else {
		err = json.NewDecoder(answer.Body).Decode(out)
	}
	if err != nil {
		return fmt.Errorf("cannot read where names are resolved: %w", err)
	}
	return nil
}
