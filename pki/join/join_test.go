package join

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
)

// door is a head's public endpoint that answers as answer says.
func door(t *testing.T, ca *pki.CA, shown []byte, answer http.HandlerFunc) (address string) {
	t.Helper()
	conf, err := pki.DockerTLS(ca, []string{"head.example"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ca.pem", func(w http.ResponseWriter, _ *http.Request) { w.Write(shown) })
	mux.HandleFunc("POST "+Path, answer)
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

func newCA(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.CreateCA("dc", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func refuse(w http.ResponseWriter, status int, kind model.Kind, text string) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(Refusal{kind, text})
}

func TestNothingSecretGoesToAnybodyElse(t *testing.T) {
	t.Parallel()
	ca, other := newCA(t), newCA(t)
	var asked atomic.Int32
	answer := func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		refuse(w, 403, model.KindForbidden, "no")
	}
	token := model.TokenText{Role: model.RoleNode, Fingerprint: ca.Fingerprint()}
	// One shows its own CA, the other the right one, which everybody can fetch.
	if _, err := Reach(t.Context(), door(t, other, other.Certificate(), answer), token); !model.IsKind(err, model.KindForbidden) {
		t.Errorf("another data center's head: %v", err)
	}
	client, err := Reach(t.Context(), door(t, other, ca.Certificate(), answer), token)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Ask(t.Context(), Request{Secret: "secret"}); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("somebody in between: %v", err)
	}
	if asked.Load() != 0 {
		t.Error("the token was sent")
	}
	if _, err := Reach(t.Context(), door(t, ca, []byte("nonsense"), answer), token); err == nil {
		t.Error("a server without a CA was taken for a head")
	}
	if _, err := Reach(t.Context(), "127.0.0.1:1", token); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestWaitingForAnApprovalOutlastsRestartsOfTheHead(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	var call atomic.Int32
	address := door(t, ca, ca.Certificate(), func(w http.ResponseWriter, _ *http.Request) {
		switch call.Add(1) {
		case 1:
			w.WriteHeader(http.StatusAccepted)
			json.NewEncoder(w).Encode(Answer{ID: "n1", Pending: true})
		case 2:
			refuse(w, 503, model.KindUnavailable, "no leader")
		default:
			json.NewEncoder(w).Encode(Answer{ID: "n1", DataCenter: "dc1"})
		}
	})
	client, err := Reach(t.Context(), address, model.TokenText{Fingerprint: ca.Fingerprint()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	pending := 0
	answer, err := client.Await(t.Context(), Request{}, func(Answer) { pending++ })
	if err != nil || answer.DataCenter != "dc1" || pending != 1 {
		t.Errorf("the answer is %+v, %v; pending was told %d times", answer, err, pending)
	}
}

func TestARefusalEndsTheWait(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	address := door(t, ca, ca.Certificate(), func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, 403, model.KindForbidden, "the token has expired")
	})
	client, err := Reach(t.Context(), address, model.TokenText{Fingerprint: ca.Fingerprint()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.Await(t.Context(), Request{}, func(Answer) { t.Error("it counts as pending") })
	if !model.IsKind(err, model.KindForbidden) || err.Error() != "the token has expired" {
		t.Errorf("got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Await(ended, Request{}, func(Answer) {}); err == nil {
		t.Error("a wait that was given up has succeeded")
	}
}

func TestAnIdentityIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	ca := newCA(t)
	key, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Sign(csr, pki.RoleNode, "n1", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "pki")
	wantThere := func(want bool) {
		t.Helper()
		if there, err := Exists(dir); err != nil || there != want {
			t.Errorf("there is an identity: %v, %v; want %v", there, err, want)
		}
	}
	wantThere(false)
	whole := Answer{Certificate: cert, CA: ca.Certificate(), GossipKeys: [][]byte{{1}, {2}}, GossipJoin: []string{"a:1"}, Label: "dc"}
	broken := whole
	broken.CA = newCA(t).Certificate()
	if err := Save(dir, key, broken); err == nil {
		t.Error("what does not belong together was saved")
	}
	wantThere(false)
	if err := Save(dir, key, whole); err != nil {
		t.Fatal(err)
	}
	wantThere(true)
	ring, err := LoadRing(dir)
	if diff := cmp.Diff(Ring{Keys: whole.GossipKeys, Label: "dc", Join: whole.GossipJoin}, ring); err != nil || diff != "" {
		t.Errorf("the ring: %v %s", err, diff)
	}
	if err := Save(dir, key, broken); err == nil {
		t.Error("it was replaced by what does not belong together")
	}
	wantThere(false) // half of it would be worse than none
}

func TestAnOlderIdentityIsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ringFile), []byte(`{"gossip_key":"AQI=","label":"dc","gossip_join":["a:1"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ring, err := LoadRing(dir)
	if err != nil || len(ring.Keys) != 1 || string(ring.Keys[0]) != "\x01\x02" || ring.Version != 0 {
		t.Errorf("the ring is %+v, %v", ring, err)
	}
}

func TestAddressesMayLackThePort(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"head": "head:2376", "head:99": "head:99", "10.0.0.1": "10.0.0.1:2376", "[fd00::1]:5": "[fd00::1]:5"} {
		if got := withPort(given); got != want {
			t.Errorf("%s became %s, want %s", given, got, want)
		}
		if _, _, err := net.SplitHostPort(withPort(given)); err != nil {
			t.Error(err)
		}
	}
	if got := withPort("fd00::1"); !strings.HasSuffix(got, ":2376") {
		t.Errorf("an IPv6 address became %s", got)
	}
}
