package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

const (
	apiVersion = "/v1.41" // the newest that Debian 12's dockerd speaks; both are asked by it
	label      = "spearhead-bench"
)

// engine is a Docker API and what stands behind it.
type engine struct {
	name      string
	host      string   // as in DOCKER_HOST
	env       []string // points a docker client at it
	image     string
	registry  string // host:port at which it reaches the stage's registry
	base      string
	client    *http.Client
	processes func() ([]process, error) // its daemons and what they keep per container
}

// newEngine reaches the API that a docker client with these settings would reach.
func newEngine(name string, settings []string) (*engine, error) {
	e := &engine{name: name, image: imageName, base: "http://docker"}
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "DOCKER_") {
			e.env = append(e.env, setting)
		}
	}
	e.env = append(e.env, settings...)
	values := map[string]string{}
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		values[key] = value
	}
	e.host = values["DOCKER_HOST"]
	address, err := url.Parse(e.host)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	e.client = &http.Client{Transport: transport}
	if address.Scheme == "unix" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", address.Path)
		}
		return e, nil
	}
	e.base = "https://" + address.Host
	transport.TLSClientConfig, err = clientTLS(values["DOCKER_CERT_PATH"])
	return e, err
}

// clientTLS reads a docker client's certificates.
func clientTLS(dir string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots}, nil
}

// send makes a request, and turns an answer of failure into an error.
func (e *engine) send(ctx context.Context, method, path string, body io.Reader, headers ...string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, e.base+apiVersion+path, body)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := e.client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 400 {
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		return nil, fmt.Errorf("%s: %s %s: %s %s", e.name, method, path, answer.Status, bytes.TrimSpace(text))
	}
	return answer, nil
}

// do sends in as JSON and reads the whole answer, into out if that is not nil.
func (e *engine) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	var headers []string
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body, headers = bytes.NewReader(text), []string{"Content-Type", "application/json"}
	}
	answer, err := e.send(ctx, method, path, body, headers...)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		return err
	}
	return json.NewDecoder(answer.Body).Decode(out)
}

// create makes a container; network "" is the default one, with a NIC.
func (e *engine) create(ctx context.Context, network string, command ...string) (id string, err error) {
	if network == "" {
		return e.createOn(ctx, nil, command...)
	}
	return e.createOn(ctx, map[string]any{"NetworkMode": network}, command...)
}

// createOn makes a container with a HostConfig.
func (e *engine) createOn(ctx context.Context, host map[string]any, command ...string) (id string, err error) {
	body := map[string]any{"Image": e.image, "Cmd": command, "Labels": map[string]string{label: ""}}
	if host != nil {
		body["HostConfig"] = host
	}
	var created struct{ ID string }
	err = e.do(ctx, "POST", "/containers/create", body, &created)
	return created.ID, err
}

func (e *engine) start(ctx context.Context, id string) error {
	return e.do(ctx, "POST", "/containers/"+id+"/start", nil, nil)
}

// startNew creates and starts a container.
func (e *engine) startNew(ctx context.Context, network string, command ...string) error {
	id, err := e.create(ctx, network, command...)
	if err != nil {
		return err
	}
	return e.start(ctx, id)
}

// wait asks for the container's next end. It returns when the engine waits, and the function
// that it returns does when the container has ended.
func (e *engine) wait(ctx context.Context, id string) (ended func() error, err error) {
	answer, err := e.send(ctx, "POST", "/containers/"+id+"/wait?condition=next-exit", nil)
	if err != nil {
		return nil, err
	}
	return func() error {
		_, err := io.Copy(io.Discard, answer.Body)
		return errors.Join(err, answer.Body.Close())
	}, nil
}

func (e *engine) remove(ctx context.Context, id string) error {
	return e.do(ctx, "DELETE", "/containers/"+id+"?force=1&v=1", nil, nil)
}

// sweep removes all containers that this package made.
func (e *engine) sweep(ctx context.Context) error {
	var list []struct{ ID string }
	filter := url.QueryEscape(`{"label":["` + label + `"]}`)
	if err := e.do(ctx, "GET", "/containers/json?all=1&filters="+filter, nil, &list); err != nil {
		return err
	}
	return parallel(8, len(list), func(i int) error { return e.remove(ctx, list[i].ID) })
}

// pull takes an image from a registry.
func (e *engine) pull(ctx context.Context, ref string) error {
	name, tag := ref[:strings.LastIndex(ref, ":")], ref[strings.LastIndex(ref, ":")+1:]
	answer, err := e.send(ctx, "POST", "/images/create?fromImage="+url.QueryEscape(name)+"&tag="+tag, nil)
	if err != nil {
		return err
	}
	return readProgress(answer)
}

// importImage makes the image of a folder.
func (e *engine) importImage(ctx context.Context, folder string) error {
	pack := exec.CommandContext(ctx, "tar", "-C", folder, "-c", ".")
	archive, err := pack.StdoutPipe()
	if err != nil {
		return err
	}
	if err := pack.Start(); err != nil {
		return err
	}
	name, tag, _ := strings.Cut(e.image, ":")
	answer, err := e.send(ctx, "POST", "/images/create?fromSrc=-&repo="+url.QueryEscape(name)+"&tag="+tag+"&changes="+url.QueryEscape("ENV PATH=/bin"),
		archive, "Content-Type", "application/x-tar")
	if err != nil {
		return errors.Join(err, pack.Wait())
	}
	return errors.Join(readProgress(answer), pack.Wait())
}

func (e *engine) removeImage(ctx context.Context, ref string) error {
	return e.do(ctx, "DELETE", "/images/"+ref, nil, nil)
}

// readProgress reads a stream of progress, whose last line may tell a failure.
func readProgress(answer *http.Response) error {
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && bytes.Contains(text, []byte(`"errorDetail"`)) {
		err = fmt.Errorf("cannot get the image: %s", text)
	}
	return err
}

// parallel calls do for 0 to n-1, up to width at once, and returns the first error.
func parallel(width, n int, do func(i int) error) error {
	var workers errgroup.Group
	workers.SetLimit(width)
	for i := range n {
		workers.Go(func() error { return do(i) })
	}
	return workers.Wait()
}
