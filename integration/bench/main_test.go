package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// theStage is set up by the first that asks for it; TestMain takes it down.
var theStage = sync.OnceValues(func() (*stage, error) { return newStage(context.Background()) })

// staged tells TestMain whether there is a stage, and collects what it measured.
var staged struct {
	stage *stage
	table table
}

func TestMain(m *testing.M) {
	if err := findBuilder(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot look for the builder:", err)
		os.Exit(1)
	}
	code := m.Run()
	staged.table.print(os.Stdout)
	if err := staged.stage.close(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot put the machine back as it was:", err)
		code = 1
	}
	os.Exit(code)
}

// useStage returns the engines to measure, or skips with what this machine lacks.
func useStage(tb testing.TB) *stage {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("needs root: a data center on this machine")
	}
	for _, tool := range []string{"docker", "docker-registry", "tar", "nsenter", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			tb.Skipf("needs %s: install it with scripts/setup test", tool)
		}
	}
	s, err := theStage()
	if err != nil {
		tb.Fatal("cannot set the engines up: ", err)
	}
	staged.stage = s
	return s
}

// stage is the engines that are measured, and how to end them.
type stage struct {
	work     string // a folder
	binary   string
	registry string    // host:port, as this machine and the rack reach it
	engines  []*engine // dockerd first, if there is one
	closers  []func() error
}

// ours is the rack's name in the results, theirs that of the yardstick.
const (
	ours   = "ours"
	theirs = "dockerd"
)

func newStage(ctx context.Context) (*stage, error) {
	s := &stage{}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) open(ctx context.Context) error {
	work, err := os.MkdirTemp("", "spearhead-bench-")
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(work) })
	s.work = work
	folder, err := busyboxFolder(ctx, work)
	if err != nil {
		return err
	}
	yardstick, err := s.openDockerd(ctx, work, folder)
	if err != nil {
		return err
	}
	if yardstick != nil {
		s.engines = append(s.engines, yardstick)
	} else {
		fmt.Println("no dockerd on this machine and no DOCKERD_HOST: nothing to compare with")
	}
	rack, err := s.openRack(ctx, work, folder)
	if err != nil {
		return err
	}
	s.engines = append(s.engines, rack)
	return nil
}

// close undoes open, the last first. A stage that was never set up needs none.
func (s *stage) close() error {
	if s == nil {
		return nil
	}
	var failed []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		failed = append(failed, s.closers[i]())
	}
	return errors.Join(failed...)
}
