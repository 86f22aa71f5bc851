package runtime

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// An initProgram reaps orphans and passes signals on as a container's first
// process.
type initProgram struct {
	path    string
	version string // name and version
}

// findInit looks for tini under the names that packages give it. It must be
// linked statically: it runs in roots that have no libraries.
func findInit(ctx context.Context) (initProgram, error) {
	problem := errors.New("the node has no statically linked tini")
	for _, name := range []string{"tini-static", "docker-init", "tini"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if err := isStatic(path); err != nil {
			problem = err
			continue
		}
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		fields := strings.Fields(string(out)) // "tini version 0.19.0"
		if err != nil || len(fields) < 3 {
			problem = fmt.Errorf("cannot learn the version of %s: %w", name, errors.Join(err, exec.ErrNotFound))
			continue
		}
		return initProgram{path, fields[0] + " " + fields[2]}, nil
	}
	return initProgram{}, problem
}

func isStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("cannot use %s: %w", path, err)
	}
	defer f.Close()
	for _, part := range f.Progs {
		if part.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is not statically linked", path)
		}
	}
	return nil
}
