package dockerapi

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"

	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/internal/cork"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// archiveBuffer is how much of an archive is carried at a time: archives are
// large, and each part costs a frame and calls to the kernel. What comes is
// gathered until the buffer is full, which for an archive keeps nobody waiting.
const archiveBuffer = 256 << 10

// statHeader tells a client which file an archive is of.
const statHeader = "X-Docker-Container-Path-Stat"

// archivePath reads the path of an archive, which is required.
func (c *call) archivePath() (string, error) {
	p := c.query.Get("path")
	if p == "" {
		return "", invalid("bad parameter: path cannot be empty")
	}
	return p, nil
}

func (s *server) statArchive(c *call) error {
	p, err := c.archivePath()
	if err != nil {
		return err
	}
	stat, err := s.Files.StatPath(c.ctx(), c.account, c.vars["id"], p)
	if err != nil {
		return err
	}
	if err := c.setStat(stat); err != nil {
		return err
	}
	return c.done(http.StatusOK)
}

func (s *server) readArchive(c *call) error {
	p, err := c.archivePath()
	if err != nil {
		return err
	}
	archive, err := s.Files.ReadArchive(c.ctx(), c.account, c.vars["id"], p)
	if err != nil {
		return err
	}
	defer archive.Close()
	if err := c.setStat(archive.Stat); err != nil {
		return err
	}
	return c.sendArchive("application/x-tar", archive)
}

// writeArchive asks for the target before it takes the archive: a client that
// waits for leave to send is then told what is wrong instead.
func (s *server) writeArchive(c *call) error {
	p, err := c.archivePath()
	if err != nil {
		return err
	}
	found, err := s.Containers.Get(c.ctx(), c.account, c.vars["id"])
	if err != nil {
		return err
	}
	if _, err := s.Files.StatPath(c.ctx(), c.account, found.ID, p); err != nil {
		return err
	}
	r := wire.WriteArchiveRequest{
		Path: p, NoOverwriteDirNonDir: c.query.bool("noOverwriteDirNonDir"), CopyUIDGID: c.query.bool("copyUIDGID"),
	}
	if err := s.Files.WriteArchive(c.ctx(), c.account, found.ID, r, cork.NewReader(c.r.Body, cork.Of(c.ctx()))); err != nil {
		return err
	}
	return c.done(http.StatusOK)
}

// copyFrom is how clients copied files before there were archives.
func (s *server) copyFrom(c *call) error {
	if !c.version.Has(compat.CopyByPost) {
		return errPageNotFound
	}
	var r struct{ Resource string }
	if _, err := c.decode(&r); err != nil {
		return err
	}
	if r.Resource == "" {
		return invalid("Path cannot be empty")
	}
	archive, err := s.Files.ReadArchive(c.ctx(), c.account, c.vars["id"], path.Join("/", r.Resource))
	if err != nil {
		return err
	}
	defer archive.Close()
	return c.sendArchive("application/x-tar", archive)
}

func (s *server) exportContainer(c *call) error {
	archive, err := s.Files.Export(c.ctx(), c.account, c.vars["id"])
	if err != nil {
		return err
	}
	defer archive.Close()
	return c.sendArchive("application/octet-stream", archive)
}

func (c *call) setStat(stat model.PathStat) error {
	text, err := json.Marshal(container.PathStat{
		Name: stat.Name, Size: stat.Size, Mode: stat.Mode, Mtime: stat.Mtime, LinkTarget: stat.LinkTarget,
	})
	if err != nil {
		return fmt.Errorf("cannot encode the description of a file: %w", err)
	}
	c.w.Header().Set(statHeader, base64.StdEncoding.EncodeToString(text))
	return nil
}

// sendArchive copies an archive to the client. One that breaks off ends the
// connection, so that the client cannot take a part for the whole.
func (c *call) sendArchive(mediaType string, from io.Reader) error {
	c.w.Header().Set("Content-Type", mediaType)
	c.w.WriteHeader(http.StatusOK)
	to := &destination{Writer: cork.NewWriter(c.w, cork.Of(c.r.Context()))}
	buffer := bufio.NewWriterSize(to, archiveBuffer)
	_, err := buffer.ReadFrom(from)
	if err == nil {
		err = buffer.Flush()
	}
	if err == nil || to.err != nil || c.ctx().Err() != nil {
		return nil // all of it was sent, or the client has gone and there is nobody to tell
	}
	c.broken = true
	return err
}

// destination remembers the error of its writer, so that it can be told from
// the reader's.
type destination struct {
	io.Writer
	err error
}

func (d *destination) Write(p []byte) (int, error) {
	n, err := d.Writer.Write(p)
	if err != nil {
		d.err = err
	}
	return n, err
}

// listChanges answers null where nothing has changed, as Docker does.
func (s *server) listChanges(c *call) error {
	found, err := s.Files.Changes(c.ctx(), c.account, c.vars["id"])
	if err != nil {
		return err
	}
	var changes []container.FilesystemChange
	for _, f := range found {
		changes = append(changes, container.FilesystemChange{Kind: container.ChangeType(f.Kind), Path: f.Path})
	}
	return c.answer(http.StatusOK, changes)
}
