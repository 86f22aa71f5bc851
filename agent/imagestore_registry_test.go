package agent_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// drain reads a push to its end.
func drain(t *testing.T, s wire.PushStream) (all []wire.PushMessage) {
	t.Helper()
	for {
		m, err := s.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
}

func TestPushTellsHowItGoes(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	good, err := n.PushImage(t.Context(), wire.PushRequest{ImageID: wiretest.ImageID, Ref: wiretest.GoodRef})
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	all := drain(t, good)
	if len(all) != 2 || all[0].Progress == nil || all[1].Pushed == nil || all[1].Pushed.Digest != wiretest.PushedDigest {
		t.Errorf("messages %+v, want progress and the end", all)
	}
	bad, err := n.PushImage(t.Context(), wire.PushRequest{ImageID: wiretest.ImageID, Ref: wiretest.BadRef})
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	all = drain(t, bad)
	if last := all[len(all)-1].Error; last == nil || last.Kind != model.KindForbidden {
		t.Errorf("messages %+v, want an error at the end", all)
	}
}

// TestPushEndsWithItsStream has a push that never ends by itself. That the
// agent can be closed afterwards shows that it ended.
func TestPushEndsWithItsStream(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	for _, end := range []func(wire.PushStream, context.CancelFunc){
		func(s wire.PushStream, _ context.CancelFunc) { s.Close() },
		func(_ wire.PushStream, cancel context.CancelFunc) { cancel() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := n.PushImage(ctx, wire.PushRequest{ImageID: wiretest.ImageID, Ref: wiretest.EndlessRef})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
		end(s, cancel)
		for err == nil { // what was on its way already may still come
			_, err = s.Next()
		}
		if !errors.Is(err, context.Canceled) && err != io.EOF {
			t.Errorf("after its end: %v", err)
		}
		cancel()
		s.Close()
	}
}

func TestQuestionsToRegistries(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	resolved, err := n.ResolveImage(t.Context(), wire.PullRequest{Ref: wiretest.GoodRef})
	if err != nil || resolved.Digest != wiretest.ImageID || len(resolved.Platforms) != 1 || resolved.Platforms[0].Architecture != "amd64" {
		t.Errorf("resolved to %+v: %v", resolved, err)
	}
	if tags, err := n.ListTags(t.Context(), wire.PullRequest{Ref: wiretest.GoodRef}); err != nil || len(tags) != 1 {
		t.Errorf("tags %q: %v", tags, err)
	}
	found, err := n.SearchImages(t.Context(), wire.SearchRequest{Term: "cat"})
	if err != nil || len(found) != 1 || found[0].Name != "cat" || !found[0].Official {
		t.Errorf("found %+v: %v", found, err)
	}
	if _, err := n.ResolveImage(t.Context(), wire.PullRequest{Ref: wiretest.BadRef}); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("a name that is not there: %v", err)
	}
}
