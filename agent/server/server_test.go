package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/spearheadcloud/spearhead/agent/server"
	"github.com/spearheadcloud/spearhead/internal/treesync"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func identity(t *testing.T, ca *pki.CA, role pki.Role, id string) *pki.Identity {
	t.Helper()
	key, request, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Sign(request, role, id, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	i, err := pki.NewIdentity(key, cert, ca.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestEachRoleIsServedWhatItMayCall(t *testing.T) {
	ca, err := pki.CreateCA("dc", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	agent := wiretest.NewAgent()
	defer agent.Close()
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(ctx, listener, identity(t, ca, pki.RoleNode, "n1").ServerTLS(pki.RoleHead, pki.RoleNode), agent, slog.New(slog.DiscardHandler))
	}()
	url := "https://" + listener.Addr().String()

	head := wire.NewClient(url, identity(t, ca, pki.RoleHead, "h1").ClientTLS(pki.RoleNode, "n1"))
	defer head.Close()
	if _, err := head.Info(t.Context()); err != nil {
		t.Errorf("a head is refused: %v", err)
	}
	other := wire.NewClient(url, identity(t, ca, pki.RoleNode, "n2").ClientTLS(pki.RoleNode, "n1"))
	defer other.Close()
	wantNodesServedContentOnly(t, other, agent)
	wantOriginKnowsItsCaller(t, other, head)
	stranger := wire.NewClient(url, strangerTLS(t))
	defer stranger.Close()
	if _, err := stranger.Blob(t.Context(), "sha256:00", 0); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("a node of another data center got %v", err)
	}
	misled := wire.NewClient(url, identity(t, ca, pki.RoleHead, "h1").ClientTLS(pki.RoleNode, "n3"))
	defer misled.Close()
	if _, err := misled.Info(t.Context()); !model.IsKind(err, model.KindUnavailable) {
		t.Errorf("a head that looks for another node got %v", err)
	}

	r := wiretest.Request()
	if _, err := head.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	stream, err := head.Attach(t.Context(), r.Container.ID, wire.AttachRequest{Stdout: true, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	journal, err := head.Journal(t.Context(), wire.Ack{})
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	stop() // ends although streams are open
	if err := <-served; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		t.Logf("the stream ended with %v", err)
	}
	for err = nil; err == nil; {
		_, err = journal.Next()
	}
}

// wantOriginKnowsItsCaller has a node ask for what was offered to it, which is
// told who asks by the certificate, and a head, which is not served.
func wantOriginKnowsItsCaller(t *testing.T, node, head *wire.Client) {
	t.Helper()
	for what, open := range map[string]func() (io.ReadCloser, error){
		"n2 c log": func() (io.ReadCloser, error) { return node.OfferedTree(t.Context(), "c", "log") },
		"n2 c root/upper \xff": func() (io.ReadCloser, error) {
			return node.OfferedFiles(t.Context(), "c", "root/upper", []treesync.Want{{Path: []byte("\xff")}})
		},
		"n2 c v s b": func() (io.ReadCloser, error) {
			return node.OfferedStream(t.Context(), "c", "v", wire.SendVolumeRequest{Snapshot: "s", Base: "b"})
		},
	} {
		stream, err := open()
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		told, err := io.ReadAll(stream)
		if stream.Close(); err != nil || string(told) != what {
			t.Errorf("%q, want %q: %v", told, what, err)
		}
	}
	if names, err := node.OfferedSnapshots(t.Context(), "c", "v"); err != nil || len(names) != 3 || names[0] != "n2" {
		t.Errorf("snapshots: %v, %v", names, err)
	}
	if stream, err := head.OfferedTree(t.Context(), "c", "log"); err == nil {
		stream.Close()
		t.Error("a head is served what is for nodes")
	}
}

func strangerTLS(t *testing.T) *tls.Config {
	ca, err := pki.CreateCA("elsewhere", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return identity(t, ca, pki.RoleNode, "n2").ClientTLS(pki.RoleNode, "n1")
}

func wantNodesServedContentOnly(t *testing.T, node *wire.Client, served *wiretest.Agent) {
	t.Helper()
	ctx := t.Context()
	blob, err := node.Blob(ctx, wiretest.ContentDigest, 5)
	if err != nil {
		t.Fatalf("a node is refused content: %v", err)
	}
	defer blob.Close()
	got, err := io.ReadAll(blob)
	if err != nil || string(got) != wiretest.Content[5:] || blob.Size != int64(len(wiretest.Content)) {
		t.Errorf("a node got %q of %d bytes, error %v", got, blob.Size, err)
	}
	r := wiretest.Request()
	for name, call := range map[string]func() error{
		"info":       func() error { _, err := node.Info(ctx); return err },
		"containers": func() error { _, err := node.Containers(ctx); return err },
		"create":     func() error { _, err := node.Create(ctx, r); return err },
		"images":     func() error { _, err := node.Images(ctx); return err },
		"remove":     func() error { return node.RemoveImage(ctx, "sha256:00") },
		"pull":       func() error { _, err := node.PullImage(ctx, wire.PullRequest{}); return err },
		"copy":       func() error { _, err := node.CopyImage(ctx, wire.CopyRequest{}); return err },
		"exec":       func() error { return node.ExecCreate(ctx, r.Container.ID, wire.ExecSpec{}) },
		"journal":    func() error { _, err := node.Journal(ctx, wire.Ack{}); return err },
		"a way out":  func() error { _, err := node.Blob(ctx, "../info", 0); return err },
	} {
		if err := call(); err == nil || model.IsKind(err, model.KindUnavailable) || name != "a way out" && !model.IsKind(err, model.KindForbidden) {
			t.Errorf("%s: a node got %v", name, err)
		}
	}
	if all, err := served.Containers(ctx); err != nil || len(all) != 0 {
		t.Errorf("a node's calls have left %v, error %v", all, err)
	}
}
