package dockerapi

import (
	"net/http"

	"github.com/moby/moby/api/types/volume"

	"github.com/spearheadcloud/spearhead/model"
)

// listVolumes answers that there are none.
func (s *server) listVolumes(c *call) error {
	f, err := c.query.filters("dangling", "driver", "label", "name")
	if err != nil {
		return err
	}
	if _, _, err := f.flag("dangling"); err != nil {
		return err
	}
	return c.answer(http.StatusOK, volume.ListResponse{Volumes: []volume.Volume{}})
}

func (s *server) inspectVolume(c *call) error { return errNoVolume(c.vars["name"]) }

// removeVolume finds none to remove, which is no error to a client that
// insists.
func (s *server) removeVolume(c *call) error {
	if c.query.bool("force") {
		return c.done(http.StatusNoContent)
	}
	return errNoVolume(c.vars["name"])
}

func errNoVolume(name string) error {
	return model.Errorf(model.KindNotFound, "get %.128s: no such volume", name)
}
