package wiretest

import (
	"bytes"
	"crypto/rand"
	"io"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

const folder = "/in"

func (s *suite) filesComeBack() {
	id := s.create()
	sent := make([]byte, 3<<20+5)
	rand.Read(sent)
	s.ok(s.agent.WriteArchive(s.ctx, id, wire.WriteArchiveRequest{Path: folder}, bytes.NewReader(sent)))
	stat, err := s.agent.StatPath(s.ctx, id, folder)
	s.ok(err)
	archive, err := s.agent.ReadArchive(s.ctx, id, folder)
	s.ok(err)
	defer archive.Close()
	if stat.Name != "in" || cmp.Diff(stat, archive.Stat) != "" {
		s.Errorf("the folder is %+v, and as an archive %+v", stat, archive.Stat)
	}
	whole, err := s.agent.Export(s.ctx, id)
	s.ok(err)
	defer whole.Close()
	for what, r := range map[string]io.Reader{"archive": archive, "export": whole} {
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, sent) {
			s.Errorf("%s: %d bytes came back, not the %d that were sent: %v", what, len(got), len(sent), err)
		}
	}
	changes, err := s.agent.Changes(s.ctx, id)
	s.ok(err)
	if diff := cmp.Diff([]model.FileChange{{Path: folder, Kind: model.FileAdded}}, changes); diff != "" {
		s.Errorf("changes (-want +got):\n%s", diff)
	}
	sizes, err := s.agent.Sizes(s.ctx, []string{id, model.NewID()})
	s.ok(err)
	if size := sizes[id]; len(sizes) != 1 || size.RW != int64(len(sent)) || size.Root < size.RW {
		s.Errorf("the sizes are %+v", sizes)
	}
}

func (s *suite) missingFilesAreNotFound() {
	unknown, id := model.NewID(), s.create()
	for _, id := range []string{unknown, id} {
		_, err := s.agent.StatPath(s.ctx, id, "/none")
		s.wantKind(model.KindNotFound, err)
		_, err = s.agent.ReadArchive(s.ctx, id, "/none")
		s.wantKind(model.KindNotFound, err)
	}
	s.wantKind(model.KindNotFound, s.agent.WriteArchive(s.ctx, unknown, wire.WriteArchiveRequest{Path: folder}, bytes.NewReader(nil)))
	_, err := s.agent.Export(s.ctx, unknown)
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Changes(s.ctx, unknown)
	s.wantKind(model.KindNotFound, err)
	_, err = s.agent.Commit(s.ctx, unknown, wire.CommitRequest{})
	s.wantKind(model.KindNotFound, err)
}

func (s *suite) commitMakesAnImage() {
	id := s.started()
	request := wire.CommitRequest{
		Config: model.ImageConfig{Cmd: []string{"cat"}}, Author: "a", Comment: "c", Created: time.Now().UTC().Truncate(time.Second), Pause: true,
	}
	made, err := s.agent.Commit(s.ctx, id, request)
	s.ok(err)
	if made.Image.ID == "" || made.Image.Author != "a" || made.Image.Comment != "c" || !made.Image.Created.Equal(request.Created) || cmp.Diff(request.Config, made.Image.Config) != "" {
		s.Errorf("the commit made %+v", made.Image)
	}
	ids, err := s.agent.Images(s.ctx)
	s.ok(err)
	if !slices.Contains(ids, made.Image.ID) {
		s.Errorf("the node holds %v, not the image %s", ids, made.Image.ID)
	}
	if got := s.status(id); got != model.StatusRunning {
		s.Errorf("after the commit the container is %s", got)
	}
	s.must(s.agent.Remove(s.ctx, id, wire.RemoveRequest{Force: true}))
}
