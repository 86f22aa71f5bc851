package dockerapi

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/sys/signal"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// stopOptions reads the timeout and the signal of a stop or restart.
func (c *call) stopOptions() (wire.StopRequest, error) {
	var r wire.StopRequest
	seconds, missing, err := c.query.int("t")
	if err != nil {
		return r, err
	}
	if !missing {
		r.Timeout = &seconds
	}
	r.Signal = c.query.Get("signal")
	return r, checkSignal(r.Signal)
}

func checkSignal(name string) error {
	if name == "" {
		return nil
	}
	if _, err := signal.ParseSignal(name); err != nil {
		return model.Errorf(model.KindInvalid, "invalid signal: %.40s", name)
	}
	return nil
}

func (s *server) stopContainer(c *call) error {
	options, err := c.stopOptions()
	if err != nil {
		return err
	}
	if err := s.Containers.Stop(c.ctx(), c.account, c.vars["id"], options); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

func (s *server) restartContainer(c *call) error {
	options, err := c.stopOptions()
	if err != nil {
		return err
	}
	if err := s.Containers.Restart(c.ctx(), c.account, c.vars["id"], options); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

func (s *server) killContainer(c *call) error {
	r := wire.KillRequest{Signal: c.query.Get("signal")}
	if err := checkSignal(r.Signal); err != nil {
		return err
	}
	if err := s.Containers.Kill(c.ctx(), c.account, c.vars["id"], r); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

// removeContainer takes v=1 for granted: containers have no volumes that
// outlive them.
func (s *server) removeContainer(c *call) error {
	if c.query.bool("link") {
		return s.removeLink(c)
	}
	r := wire.RemoveRequest{Force: c.query.bool("force"), Volumes: c.query.bool("v")}
	if err := s.Containers.Remove(c.ctx(), c.account, c.vars["id"], r); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

// removeLink takes a link from a container: NAME/ALIAS in the path names it,
// written as one part or as two.
func (s *server) removeLink(c *call) error {
	name := strings.Trim(c.vars["id"]+"/"+c.vars["alias"], "/")
	at := strings.LastIndex(name, "/")
	switch {
	case !c.query.bool("link"):
		return model.Errorf(model.KindNotFound, "No such container: %.128s", name)
	case at < 0:
		return model.Errorf(model.KindConflict, "Conflict, cannot remove the default link name of the container")
	}
	if err := s.Control.RemoveLink(c.ctx(), c.account, name[:at], name[at+1:]); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

func (s *server) renameContainer(c *call) error {
	name := strings.TrimPrefix(c.query.Get("name"), "/")
	if name == "" {
		return model.Errorf(model.KindInvalid, "Neither old nor new names may be empty")
	}
	if err := model.CheckContainerName(name); err != nil {
		return err
	}
	if err := s.Containers.Rename(c.ctx(), c.account, c.vars["id"], name); err != nil {
		return err
	}
	return c.done(http.StatusNoContent)
}

func (s *server) topContainer(c *call) error {
	args := c.query.Get("ps_args")
	if args == "" {
		args = "-ef"
	}
	p, err := s.Containers.Top(c.ctx(), c.account, c.vars["id"], args)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, container.TopResponse{Titles: p.Titles, Processes: p.Rows})
}

func (s *server) resizeContainer(c *call) error {
	size, err := c.terminalSize()
	if err != nil {
		return err
	}
	if err := s.Containers.Resize(c.ctx(), c.account, c.vars["id"], size); err != nil {
		return err
	}
	return c.done(http.StatusOK)
}

// terminalSize reads the height and the width, both of which are required.
func (c *call) terminalSize() (wire.TerminalSize, error) {
	var size wire.TerminalSize
	for name, field := range map[string]*uint16{"h": &size.Rows, "w": &size.Columns} {
		value, missing, err := c.query.int(name)
		if err != nil {
			return size, err
		}
		if missing || value < 0 || value > math.MaxUint16 {
			return size, model.Errorf(model.KindInvalid, "invalid terminal size: %q must be a number from 0 to %d", name, math.MaxUint16)
		}
		*field = uint16(value)
	}
	return size, nil
}

// waitContainer sends its headers as soon as the wait is sure to notice the
// condition, because clients start the container only then.
func (s *server) waitContainer(c *call) error {
	condition := WaitCondition(c.query.Get("condition"))
	switch condition {
	case "":
		condition = WaitNotRunning
	case WaitNotRunning, WaitNextExit, WaitRemoved:
	default:
		return model.Errorf(model.KindInvalid, "invalid condition: %.40q; use not-running, next-exit or removed", string(condition))
	}
	begun := false
	registered := func() {
		if c.version.Has(compat.LateWait) {
			return
		}
		begun = true
		c.w.Header().Set("Content-Type", "application/json")
		c.w.WriteHeader(http.StatusOK)
		http.NewResponseController(c.w).Flush()
	}
	result, err := s.Containers.Wait(c.ctx(), c.account, c.vars["id"], condition, registered)
	if !begun {
		if err != nil {
			return err
		}
		return c.answer(http.StatusOK, waitResponse(result))
	}
	if err != nil {
		if c.ctx().Err() != nil {
			return context.Cause(c.ctx())
		}
		result = WaitResult{ExitCode: 125, Error: errorText(err, c.id)}
	}
	return json.NewEncoder(c.w).Encode(waitResponse(result))
}

func waitResponse(r WaitResult) container.WaitResponse {
	w := container.WaitResponse{StatusCode: int64(r.ExitCode)}
	if r.Error != "" {
		w.Error = &container.WaitExitError{Message: r.Error}
	}
	return w
}
