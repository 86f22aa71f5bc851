package accountapi_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/headnode/accountapi"
	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// do makes a request and returns its status and body.
func (b *bed) do(web *http.Client, method, path, body string, header ...string) (int, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(headtest.Context(b.t), method, b.server.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := web.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestOnlyTheAccountsKeyOpensTheDoor(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := headtest.Context(t)
	stranger, web := b.clients()
	_, err := stranger.Usage(ctx)
	wantKind(t, err, model.KindUnauthenticated, "a client certificate is needed")
	if code, _ := b.do(web, "GET", "/spearhead/v9/anything", ""); code != http.StatusUnauthorized {
		t.Errorf("a stranger learns by status %d which calls there are", code)
	}
	if code, _ := b.do(web, "GET", "/v1.44/info", ""); code != elsewhere {
		t.Errorf("another path: status %d, want that of the next handler", code)
	}

	jill := b.join("jill")
	if use := must(jill.Usage(ctx))(t); use.Login != "jill" {
		t.Errorf("jill is taken for %q", use.Login)
	}
	if code, text := b.do(jill.web, "GET", "/spearhead/v1/nothing", ""); code != http.StatusNotFound || !strings.Contains(text, `"kind":"not-found"`) {
		t.Errorf("a call that there is not: %d, %s", code, text)
	}
	if code, _ := b.do(jill.web, "GET", accountapi.Prefix+"/usage", "", "Origin", "https://evil.example"); code != http.StatusForbidden {
		t.Errorf("a web page's request: status %d", code)
	}
	b.Propose(command.RemoveKey{AccountID: jill.account.ID, SHA256: jill.key.SHA256})
	_, err = jill.Usage(ctx) // on the connection that is open
	wantKind(t, err, model.KindUnauthenticated, "no")
}

func TestBodiesAreReadStrictly(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	jill := b.join("jill")
	for _, test := range []struct {
		path, body string
		code       int
		text       string
	}{
		{"/rules", `{"txt": "FROM any TO all vms ALLOW icmp"}`, 400, `unknown field \"txt\"`},
		{"/rules", `{"text": 7}`, 400, "invalid value for text"},
		{"/rules", `{"text": "x"} {}`, 400, "something follows"},
		{"/rules", `{"text": `, 400, "ends too early"},
		{"/rules", ``, 400, "ends too early"},
		{"/rules", `[]`, 400, "invalid value for the request's body"},
		{"/rules", `{"text": "FROM any TO all vms ALLOW icmp", "account_id": "1"}`, 400, `unknown field \"account_id\"`},
		{"/rules", `{"text": "` + strings.Repeat("x", 100<<10) + `"}`, 413, "too large"},
		{"/volumes/data/size", `{}`, 400, "size is missing"},
		{"/volumes/data/snapshots", `"monday"`, 400, "invalid value"},
	} {
		code, text := b.do(jill.web, "POST", accountapi.Prefix+test.path, test.body)
		if code != test.code || !strings.Contains(text, test.text) {
			t.Errorf("%s %.40s: %d %s; want %d with %q", test.path, test.body, code, text, test.code, test.text)
		}
	}
}
