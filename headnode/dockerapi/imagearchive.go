package dockerapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/spearheadcloud/spearhead/internal/cork"
	"github.com/spearheadcloud/spearhead/model"
)

// maxUpload bounds an archive of images, or of a root, that a client sends.
const maxUpload = 10 << 30

// saveImages sends the images of the parameters "names", or that of the path.
func (s *server) saveImages(c *call) error {
	names := c.query.Values["names"]
	if name := c.vars["name"]; name != "" {
		names = []string{name}
	}
	if len(names) == 0 {
		return invalid("no image was named: give one or several as \"names\"")
	}
	platform, err := c.platform()
	if err != nil {
		return err
	}
	archive, err := s.Transfers.Save(c.ctx(), c.account, names, platform)
	if err != nil {
		return err
	}
	defer archive.Close()
	return c.sendArchive("application/x-tar", archive)
}

// loadImages answers with a line for each image and, unless the client wants
// it quiet, for each step.
func (s *server) loadImages(c *call) error {
	platform, err := c.platform()
	if err != nil {
		return err
	}
	body, err := s.upload(c)
	if err != nil {
		return err
	}
	quiet, out := c.query.boolOr("quiet", true), &lines{c: c}
	err = s.Transfers.Load(c.ctx(), c.account, LoadRequest{Platform: platform}, body, func(step LoadStep) {
		switch {
		case step.ID == "" && !quiet:
			out.layer(step.PullProgress)
		case step.ID != "" && len(step.Names) == 0:
			out.write(line{Stream: "Loaded image ID: " + step.ID + "\n"})
		}
		for _, name := range step.Names {
			out.write(line{Stream: "Loaded image: " + name + "\n"})
		}
	})
	return out.end(body.blame(err))
}

// importImage makes an image of the archive in the body. A URL is not fetched:
// nobody may make a machine of the data center ask for one.
func (s *server) importImage(c *call) error {
	if c.query.Get("fromImage") != "" {
		return invalid("\"fromImage\" and \"fromSrc\" exclude each other")
	}
	if from := c.query.Get("fromSrc"); from != "-" {
		return model.Errorf(model.KindNotImplemented,
			"importing from a URL (fromSrc) is not implemented by this server: fetch it and send it, as with curl URL | docker import -")
	}
	name, err := c.newImageName("import")
	if err != nil {
		return err
	}
	r := ImportRequest{Name: name, Message: c.query.Get("message"), Platform: c.query.Get("platform"), Changes: c.changes()}
	body, err := s.upload(c)
	if err != nil {
		return err
	}
	out := &lines{c: c}
	id, err := s.Transfers.Import(c.ctx(), c.account, r, body)
	if err != nil {
		return out.end(body.blame(err))
	}
	out.write(line{Status: id})
	return nil
}

// upload is the body of a request while somebody else reads it. It remembers
// what was wrong with it, for by then the error has other words.
type upload struct {
	from io.Reader
	mu   sync.Mutex
	err  error
}

// upload gives the body of the request out. Lines may be written from now on
// before all of it was read.
func (s *server) upload(c *call) (*upload, error) {
	err := http.NewResponseController(c.w).EnableFullDuplex()
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, fmt.Errorf("cannot answer while the request is read: %w", err)
	}
	body := http.MaxBytesReader(c.w, c.r.Body, s.maxUpload)
	return &upload{from: cork.NewReader(body, cork.Of(c.ctx()))}, nil
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		u.mu.Lock()
		u.err = err
		u.mu.Unlock()
	}
	return n, err
}

// blame returns the error of a use case, or that of the body where it is the
// cause.
func (u *upload) blame(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil || u.err == nil:
		return err
	case errors.As(u.err, &tooLarge):
		return model.Errorf(model.KindTooLarge, "the archive is too large: at most %d bytes are allowed", tooLarge.Limit)
	}
	return model.WrapError(model.KindInvalid, u.err, "cannot read the archive: the request ended early")
}
