package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/distribution/reference"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/spearheadcloud/spearhead/model"
)

// serve starts a server on loopback and returns its host:port.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// untouchable is a service of the node itself that no registry may lead to.
func untouchable(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the node's own service was asked: %s %s", r.Method, r.URL)
		w.Write([]byte(`{"token":"x","access_token":"x"}`))
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().String()
}

// policy lists the one address of loopback where the tests' registries are.
func policy(t *testing.T, o Options) *Policy {
	t.Helper()
	o.Insecure = append(o.Insecure, "127.0.0.1/32")
	p, err := NewPolicy(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func client(t *testing.T, p *Policy, name string, credentials Credentials, access Access) *Client {
	t.Helper()
	ref, err := reference.ParseDockerRef(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.NewClient(ref, credentials, access)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// everything asks a registry in each way there is.
func everything(t *testing.T, p *Policy, name string) map[string]error {
	t.Helper()
	ctx, who := t.Context(), Credentials{Username: "ann", Password: "secret"}
	pulling, pushing := client(t, p, name, who, Pull), client(t, p, name, who, Push)
	blob := []byte("content")
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(blob), Size: int64(len(blob))}
	results := map[string]error{}
	_, results["resolve"] = pulling.Resolve(ctx)
	r, err := pulling.Fetch(ctx, desc)
	if err == nil {
		_, err = r.Read(make([]byte, 1))
		r.Close()
	}
	results["fetch"] = pulling.Explain(err)
	_, results["tags"] = pulling.Tags(ctx)
	_, results["push"] = pushing.Push(ctx, desc, strings.NewReader(string(blob)), func() {})
	_, results["search"] = p.Search(ctx, reference.Domain(pulling.ref)+"/x", 0, who)
	return results
}

func wantForbidden(t *testing.T, results map[string]error) {
	t.Helper()
	for way, err := range results {
		if !model.IsKind(err, model.KindForbidden) || !strings.Contains(model.UserText(err), "address that is not open to registries") {
			t.Errorf("%s: %v, want a refusal of the address", way, err)
		}
	}
}

// TestRegistriesLeadNowhereElse has registries that lead to services of the
// node and to the address where clouds keep their secrets.
func TestRegistriesLeadNowhereElse(t *testing.T) {
	t.Parallel()
	inner := untouchable(t)
	for _, target := range []string{"http://" + inner, "http://127.0.0.3:1", "http://169.254.169.254", "http://[::1]:80", "http://[::ffff:127.0.0.3]:1"} {
		for name, handler := range map[string]http.HandlerFunc{
			"redirect": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, target+"/latest/meta-data", http.StatusTemporaryRedirect)
			},
			"realm": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x",scope="repository:x:pull"`, target))
				w.WriteHeader(http.StatusUnauthorized)
			},
		} {
			t.Run(name+" "+target, func(t *testing.T) {
				t.Parallel()
				wantForbidden(t, everything(t, policy(t, Options{}), serve(t, handler)+"/x"))
			})
		}
	}
}

// TestUploadsGoNowhereElse has a registry that wants a blob to be sent to a
// service of the node.
func TestUploadsGoNowhereElse(t *testing.T) {
	t.Parallel()
	inner := untouchable(t)
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Location", "http://"+inner+"/upload")
		w.WriteHeader(http.StatusAccepted)
	})
	wantForbidden(t, map[string]error{"push": everything(t, policy(t, Options{}), address+"/x")["push"]})
}

// TestTLSStaysTLS has a registry with a certificate that leads to plain HTTP.
func TestTLSStaysTLS(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"redirect", "realm"} {
		e := encrypted{http.DefaultTransport}
		plain := httptest.NewRequest(http.MethodGet, "http://registry.example/"+where, strings.NewReader("secret"))
		if _, err := e.RoundTrip(plain); !errors.Is(err, errDowngrade) { //nolint:bodyclose // there is no answer
			t.Errorf("%s: %v, want a refusal", where, err)
		}
	}
}

// TestNamesThatMeanLoopback has a name server that says that a registry is on
// loopback.
func TestNamesThatMeanLoopback(t *testing.T) {
	t.Parallel()
	_, port, err := net.SplitHostPort(untouchable(t))
	if err != nil {
		t.Fatal(err)
	}
	p := policy(t, Options{})
	p.resolver = nameServer(t, map[string]string{"rebind.example.": "127.0.0.2", "metadata.example.": "169.254.169.254"})
	for _, host := range []string{"rebind.example", "metadata.example", "127.0.0.2"} {
		wantForbidden(t, everything(t, p, host+":"+port+"/x"))
	}
}

// nameServer answers with one address for each name.
func nameServer(t *testing.T, names map[string]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		if address, ok := names[q.Question[0].Name]; ok && q.Question[0].Qtype == dns.TypeA {
			header := dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}
			answer.Answer = []dns.RR{&dns.A{Hdr: header, A: net.ParseIP(address)}}
		}
		w.WriteMsg(answer)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.ActivateAndServe()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// tokenRegistry lets in who has the token that its token server gives.
type tokenRegistry struct {
	t     *testing.T
	asked atomic.Pointer[http.Request] // the last request to the token server, with its form
}

const goodToken = "token-of-the-server"

func (s *tokenRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/token":
		if err := r.ParseForm(); err != nil {
			s.t.Error(err)
		}
		s.asked.Store(r.Clone(context.Background()))
		json.NewEncoder(w).Encode(map[string]any{"token": goodToken, "access_token": goodToken, "expires_in": 60})
	case r.Header.Get("Authorization") != "Bearer "+goodToken:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="tests",scope="repository:app:pull"`, r.Host))
		w.WriteHeader(http.StatusUnauthorized)
	case strings.HasSuffix(r.URL.Path, "/tags/list"):
		w.Write([]byte(`{"name":"app","tags":["1"]}`))
	default:
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Docker-Content-Digest", digest.FromString("x").String())
		w.Header().Set("Content-Length", "1")
	}
}

func TestWaysToBeKnown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		credentials Credentials
		form        url.Values // what the token server is sent
	}{
		{"nobody", Credentials{}, nil},
		{"password", Credentials{Username: "ann", Password: "word"}, url.Values{"grant_type": {"password"}, "username": {"ann"}, "password": {"word"}}},
		{"identity token", Credentials{Username: "<token>", IdentityToken: "refresh"}, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"refresh"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := &tokenRegistry{t: t}
			c := client(t, policy(t, Options{}), serve(t, s.ServeHTTP)+"/app:1", test.credentials, Pull)
			if _, err := c.Resolve(t.Context()); err != nil {
				t.Error(err)
			}
			if tags, err := c.Tags(t.Context()); err != nil || len(tags) != 1 {
				t.Errorf("tags %q: %v", tags, err)
			}
			for key, want := range test.form {
				if got := s.asked.Load().Form[key]; !cmp.Equal(got, want) {
					t.Errorf("the token server was sent %s %q, want %q", key, got, want)
				}
			}
		})
	}
}

// TestRegistryTokenIsSentToTheRegistryAlone has a registry that leads away.
func TestRegistryTokenIsSentToTheRegistryAlone(t *testing.T) {
	t.Parallel()
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if sent := r.Header.Get("Authorization"); sent != "" {
			t.Errorf("another host was sent %q", sent)
		}
	})
	_, port, _ := net.SplitHostPort(other)
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+goodToken:
			t.Errorf("the registry was sent %q", r.Header.Get("Authorization"))
		case r.Method == http.MethodPost:
			w.Header().Set("Location", "http://localhost:"+port+"/upload")
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodHead:
			http.NotFound(w, r)
		default:
			http.Redirect(w, r, "http://"+other+"/blob", http.StatusTemporaryRedirect)
		}
	})
	p := policy(t, Options{Insecure: []string{"127.0.0.0/8", "::1/128"}})
	blob := "content"
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromString(blob), Size: int64(len(blob))}
	if r, err := client(t, p, address+"/x", Credentials{RegistryToken: goodToken}, Pull).Fetch(t.Context(), desc); err == nil {
		r.Read(make([]byte, 1))
		r.Close()
	}
	if _, err := client(t, p, address+"/x", Credentials{RegistryToken: goodToken}, Push).Push(t.Context(), desc, strings.NewReader(blob), func() {}); err != nil {
		t.Error(err)
	}
}

func TestTagsComeInPages(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/team/app/tags/list" {
			http.NotFound(w, r)
			return
		}
		switch r.URL.Query().Get("last") {
		case "":
			w.Header().Set("Link", `</v2/team/app/tags/list?last=b&n=2>; rel="next"`)
			w.Write([]byte(`{"tags":["a","b"]}`))
		case "b":
			w.Header().Set("Link", fmt.Sprintf(`<http://%s/v2/team/app/tags/list?last=c>; rel="next"`, r.Host))
			w.Write([]byte(`{"tags":["c"]}`))
		default:
			w.Header().Set("Link", `<http://127.0.0.1:1/v2/team/app/tags/list>; rel="next"`)
			w.Write([]byte(`{"tags":["d"]}`))
		}
	})
	p := policy(t, Options{})
	tags, err := client(t, p, address+"/team/app", Credentials{}, Pull).Tags(t.Context())
	if err != nil || !cmp.Equal(tags, []string{"a", "b", "c", "d"}) {
		t.Errorf("tags %q: %v", tags, err)
	}
	_, err = client(t, p, address+"/team/other", Credentials{}, Pull).Tags(t.Context())
	if !model.IsKind(err, model.KindNotFound) {
		t.Errorf("a repository that is not there: %v", err)
	}
}

// TestTagsEnd has a registry whose list has no end.
func TestTagsEnd(t *testing.T) {
	t.Parallel()
	page, err := json.Marshal(map[string][]string{"tags": strings.Fields(strings.Repeat("t ", 20_000))})
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "<"+r.URL.String()+`>; rel="next"`)
		w.Write(page)
	})
	_, err = client(t, policy(t, Options{}), address+"/x", Credentials{}, Pull).Tags(t.Context())
	if !model.IsKind(err, model.KindInvalid) {
		t.Errorf("error %v, want invalid", err)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "ann" || password != "word" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/v1/search" || r.URL.Query().Get("q") != "web/app" || r.URL.Query().Get("n") != "25" {
			t.Errorf("asked for %s", r.URL)
		}
		w.Write([]byte(`{"results":[{"name":"web/app","description":"an app","star_count":7,"is_official":true,"is_automated":false}]}`))
	})
	p := policy(t, Options{})
	found, err := p.Search(t.Context(), address+"/web/app", 0, Credentials{Username: "ann", Password: "word"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Found{{Name: "web/app", Description: "an app", Stars: 7, Official: true}}, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	without := serve(t, http.NotFound)
	for _, test := range []struct {
		term  string
		limit int
		kind  model.Kind
	}{
		{address + "/web/app", 0, model.KindForbidden},
		{without + "/app", 0, model.KindNotImplemented},
		{"http://" + address + "/app", 0, model.KindInvalid},
		{"app", 101, model.KindInvalid},
		{"app", -1, model.KindInvalid},
		{"bad host.example/app", 0, model.KindInvalid},
	} {
		if _, err := p.Search(t.Context(), test.term, test.limit, Credentials{}); !model.IsKind(err, test.kind) {
			t.Errorf("search for %q: %v, want %s", test.term, err, test.kind)
		}
	}
}

func TestWhereASearchGoes(t *testing.T) {
	t.Parallel()
	for term, want := range map[string][2]string{
		"app": {"docker.io", "app"}, "team/app": {"docker.io", "team/app"}, "docker.io/library/app": {"docker.io", "app"},
		"lab.example:5000/team/app": {"lab.example:5000", "team/app"}, "localhost/app": {"localhost", "app"},
	} {
		registry, query, err := splitTerm(term)
		if err != nil || registry != want[0] || query != want[1] {
			t.Errorf("%q is %q at %q: %v", term, query, registry, err)
		}
	}
}

// TestWhatARefusedPushSays has Docker's words.
func TestWhatARefusedPushSays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		answer http.HandlerFunc
		kind   model.Kind
		want   string
	}{
		{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, model.KindForbidden, "denied: requested access to the resource is denied"},
		{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, model.KindForbidden, "unauthorized: authentication required"},
		{func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, model.KindForbidden, "no basic auth credentials"},
		{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, model.KindUnavailable, "toomanyrequests: "},
	} {
		c := client(t, policy(t, Options{}), serve(t, test.answer)+"/x", Credentials{}, Push)
		desc := ocispec.Descriptor{MediaType: images.MediaTypeDockerSchema2Layer, Digest: digest.FromString("x"), Size: 1}
		_, err := c.Push(t.Context(), desc, strings.NewReader("x"), func() {})
		if !model.IsKind(err, test.kind) || !strings.HasPrefix(model.UserText(err), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}

// TestMountThatIsNotAllowed has a token server that refuses any request about a
// repository that the user may not read.
func TestMountThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	var uploaded atomic.Bool
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			if r.ParseForm(); strings.Contains(fmt.Sprint(r.Form["scope"]), "secret") {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			json.NewEncoder(w).Encode(map[string]any{"token": goodToken, "access_token": goodToken, "expires_in": 60})
		case r.Header.Get("Authorization") != "Bearer "+goodToken:
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="tests"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodPost:
			w.Header().Set("Location", r.URL.Path+"1")
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodPut:
			uploaded.Store(true)
			w.WriteHeader(http.StatusCreated)
		default:
			http.NotFound(w, r)
		}
	})
	c := client(t, policy(t, Options{}), address+"/mine", Credentials{Username: "ann", Password: "word"}, Push)
	other, err := reference.ParseDockerRef(address + "/secret")
	if err != nil {
		t.Fatal(err)
	}
	key, value := KnownIn(other)
	desc := ocispec.Descriptor{
		MediaType: images.MediaTypeDockerSchema2Layer, Digest: digest.FromString("x"), Size: 1, Annotations: map[string]string{key: value},
	}
	place, err := c.Push(t.Context(), desc, strings.NewReader("x"), func() {})
	if err != nil || place != (Placement{}) || !uploaded.Load() {
		t.Errorf("the layer was sent: %v, and is there as %v: %v", uploaded.Load(), place, err)
	}
}

// TestCredentialsAreNotInErrors provokes errors that tell of requests.
func TestCredentialsAreNotInErrors(t *testing.T) {
	t.Parallel()
	const password = "correct-horse-battery"
	who := Credentials{Username: "ann", Password: password}
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, r.Header, r.Form)
			return
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token"`, r.Host))
		w.WriteHeader(http.StatusUnauthorized)
	})
	_, err := client(t, policy(t, Options{}), address+"/x", who, Pull).Resolve(t.Context())
	for _, secret := range []string{password, base64.StdEncoding.EncodeToString([]byte("ann:" + password))} {
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("error %v holds the password", err)
		}
	}
}
