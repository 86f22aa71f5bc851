package agent_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

func TestImagesPassThroughArchives(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	line := wiretest.ImageID + " " + wiretest.GoodRef + "\n"
	messages, err := loadAll(t, n, strings.NewReader(line))
	if err != nil || len(messages) != 2 || messages[0].Progress == nil || messages[1].Image == nil || messages[1].Image.Refs[0] != wiretest.GoodRef {
		t.Errorf("load tells %+v (%v)", messages, err)
	}
	archive, err := n.SaveImages(t.Context(), wire.SaveRequest{Images: []wire.SavedImage{{ImageID: wiretest.ImageID, Refs: []string{wiretest.GoodRef}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if saved, err := io.ReadAll(archive); err != nil || string(saved) != line {
		t.Errorf("saved %q (%v)", saved, err)
	}
	if _, err := n.SaveImages(t.Context(), wire.SaveRequest{Images: []wire.SavedImage{{ImageID: "sha256:none"}}}); !model.IsKind(err, model.KindNotFound) {
		t.Errorf("save of nothing: %v", err)
	}
	messages, err = loadAll(t, n, strings.NewReader("nonsense"))
	if last := messages[len(messages)-1].Error; err != nil || last == nil || last.Kind != model.KindInvalid {
		t.Errorf("load of nonsense tells %+v (%v)", messages, err)
	}
	img, err := n.ImportImage(t.Context(), wire.ImportRequest{Comment: "why"}, strings.NewReader("root"))
	if err != nil || img.Comment != "why" || img.Created.IsZero() {
		t.Errorf("imported %+v (%v)", img, err)
	}
	if usage, err := n.ImageUsage(t.Context()); err != nil || usage.Blobs[wiretest.ContentDigest] != int64(len(wiretest.Content)) {
		t.Errorf("usage %+v (%v)", usage, err)
	}
}

func loadAll(t *testing.T, n *node, archive io.Reader) (messages []wire.LoadMessage, err error) {
	t.Helper()
	s, err := n.LoadImages(t.Context(), wire.LoadRequest{}, archive)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for {
		m, err := s.Next()
		if errors.Is(err, io.EOF) {
			return messages, nil
		}
		if err != nil {
			return messages, err
		}
		messages = append(messages, m)
	}
}

func TestLoadEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	archive, sender := io.Pipe() // nothing is ever sent
	defer sender.Close()         // as a connection is when its request has ended
	s, err := n.LoadImages(ctx, wire.LoadRequest{}, archive)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cancel()
	for err == nil {
		_, err = s.Next()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the load ends with %v", err)
	}
}
