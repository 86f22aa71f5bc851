package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/spearheadcloud/spearhead/wire"
)

// What builders say of a request; tools/buildkit has the same.
const (
	upstreamHeader = "Spearhead-Upstream" // scheme://host that the request is meant for
	accountHost    = "account.invalid"    // the images of the account
)

// door is where a builder asks its node for images. It is an HTTP server on a
// Unix socket which is a registry of the account's images and a proxy to all
// others.
type door struct {
	catalogue *catalogue
	proxy     *httputil.ReverseProxy
	server    *http.Server
	served    chan struct{}
}

func newDoor(c Config) *door {
	d := &door{catalogue: &catalogue{images: c.Images, log: c.Logger}, served: make(chan struct{})}
	d.proxy = &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     newRegistries(c.Registry),
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			c.Logger.Debug("a builder cannot reach a registry", "op", "build", "host", r.Host, "err", err)
			http.Error(w, "cannot reach "+r.Host, http.StatusBadGateway)
		},
	}
	d.server = &http.Server{Handler: d, ReadHeaderTimeout: 10 * time.Second}
	return d
}

func (d *door) setImages(images []wire.BaseImage) { d.catalogue.set(images) }

// open listens at path, which only root can reach.
func (d *door) open(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove the builder's former door: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		return fmt.Errorf("cannot open the builder's door: %w", err)
	}
	go func() {
		defer close(d.served)
		d.server.Serve(listener) // ends with close
	}()
	return nil
}

func (d *door) close() {
	d.server.Close()
	<-d.served
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	upstream, err := url.Parse(r.Header.Get(upstreamHeader))
	if err != nil || upstream.Host == "" || upstream.Scheme != "http" && upstream.Scheme != "https" {
		http.Error(w, "the request does not say where it is to go", http.StatusBadRequest)
		return
	}
	if upstream.Host == accountHost {
		d.catalogue.ServeHTTP(w, r)
		return
	}
	d.proxy.ServeHTTP(w, r)
}

// rewrite sends a request where its header says; ServeHTTP has checked it.
func rewrite(p *httputil.ProxyRequest) {
	upstream, _ := url.Parse(p.In.Header.Get(upstreamHeader))
	p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = upstream.Scheme, upstream.Host, upstream.Host
	p.Out.Header.Del(upstreamHeader)
}

// toRegistries reaches each registry by the node's rules for it.
type toRegistries struct {
	connect func(host string) (http.RoundTripper, error)

	mu    sync.Mutex
	known map[string]http.RoundTripper
}

func newRegistries(connect func(host string) (http.RoundTripper, error)) *toRegistries {
	return &toRegistries{connect: connect, known: map[string]http.RoundTripper{}}
}

func (t *toRegistries) RoundTrip(r *http.Request) (*http.Response, error) {
	registry, err := t.registry(r.URL.Host)
	if err != nil {
		return nil, err
	}
	return registry.RoundTrip(r)
}

// maxRegistries bounds the registries to which connections are kept.
const maxRegistries = 64

func (t *toRegistries) registry(host string) (http.RoundTripper, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if registry, ok := t.known[host]; ok {
		return registry, nil
	}
	registry, err := t.connect(host)
	if err != nil {
		return nil, err
	}
	if len(t.known) >= maxRegistries {
		clear(t.known)
	}
	t.known[host] = registry
	return registry, nil
}
