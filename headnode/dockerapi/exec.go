package dockerapi

import (
	"math"
	"net/http"

	"github.com/moby/moby/api/types/common"
	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

func (s *server) createExec(c *call) error {
	var r container.ExecCreateRequest
	if _, err := c.decode(&r); err != nil {
		return err
	}
	if len(r.Cmd) == 0 {
		return model.Errorf(model.KindInvalid, "No exec command specified")
	}
	if err := checkEnv(r.Env); err != nil {
		return err
	}
	if err := checkDetachKeys(r.DetachKeys); err != nil {
		return err
	}
	size, err := consoleSize("ConsoleSize", r.ConsoleSize, r.Tty)
	if err != nil {
		return err
	}
	id, err := s.Execs.CreateExec(c.ctx(), c.account, c.vars["id"], wire.ExecSpec{
		Args: r.Cmd, Env: r.Env, User: r.User, WorkingDir: r.WorkingDir, Tty: r.Tty,
		Stdin: r.AttachStdin, Stdout: r.AttachStdout, Stderr: r.AttachStderr,
		Privileged: r.Privileged, DetachKeys: r.DetachKeys, ConsoleSize: size,
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusCreated, common.IDResponse{ID: id})
}

// consoleSize reads a terminal's first size, height first. Clients that are at
// no terminal send zeros, and Docker's sends a size for containers that have
// none: both is none.
func consoleSize(field string, asked *[2]uint, tty bool) (*wire.TerminalSize, error) {
	if asked == nil {
		return nil, nil
	}
	if max(asked[0], asked[1]) > math.MaxUint16 {
		return nil, invalid("invalid value for %s: at most %d rows and columns", field, math.MaxUint16)
	}
	if !tty || asked[0] == 0 || asked[1] == 0 {
		return nil, nil
	}
	return &wire.TerminalSize{Rows: uint16(asked[0]), Columns: uint16(asked[1])}, nil
}

func (s *server) resizeExec(c *call) error {
	size, err := c.terminalSize()
	if err != nil {
		return err
	}
	if err := s.Execs.ResizeExec(c.ctx(), c.account, c.vars["id"], size); err != nil {
		return err
	}
	return c.done(http.StatusOK)
}

func (s *server) inspectExec(c *call) error {
	e, err := s.Execs.InspectExec(c.ctx(), c.account, c.vars["id"])
	if err != nil {
		return err
	}
	process := &container.ExecProcessConfig{Tty: e.Spec.Tty, Privileged: &e.Spec.Privileged, User: e.Spec.User}
	process.Entrypoint, process.Arguments = splitCommand(e.Spec.Args)
	return c.answer(http.StatusOK, container.ExecInspectResponse{
		ID: e.ID, Running: e.Running, ExitCode: e.ExitCode, Pid: e.Pid, ContainerID: e.ContainerID,
		OpenStdin: e.Spec.Stdin, OpenStdout: e.Spec.Stdout, OpenStderr: e.Spec.Stderr,
		CanRemove: e.ExitCode != nil, DetachKeys: []byte(e.Spec.DetachKeys),
		ProcessConfig: process,
	})
}
