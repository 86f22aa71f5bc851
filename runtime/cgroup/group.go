package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is where control groups are mounted.
const Root = "/sys/fs/cgroup"

// A Group is the control groups of one container: one directory with version
// 2, one in each controller's hierarchy with version 1.
type Group struct {
	Root    string // Root, but in tests
	Version int    // 1 or 2
	Path    string // absolute, below each hierarchy's root
}

// dir is where the files of a controller are, by its name of version 1.
func (g Group) dir(controller string) string {
	if g.Version == 2 {
		return filepath.Join(g.Root, g.Path)
	}
	return filepath.Join(g.Root, controller, g.Path)
}

func (g Group) file(controller, name string) string {
	return filepath.Join(g.dir(controller), name)
}

func (g Group) has(controller, name string) bool {
	_, err := os.Stat(g.file(controller, name))
	return err == nil
}

// readAll reads a file with four system calls. os.ReadFile makes more, because
// these files can be polled and it prepares for that: a sample, which is made
// of two dozen files, would take twice the time.
func readAll(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var text []byte
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return "", &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n <= 0 {
			return string(text), nil
		}
		text = append(text, buf[:n]...)
	}
}

// read returns a file's text without the line's end.
func read(path string) (string, error) {
	text, err := readAll(path)
	return strings.TrimSpace(text), err
}

// write writes in one go, as the kernel wants it. It makes no file.
func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// Processes lists the processes of the group and of those below it, sorted.
// Numbers are those of the reader's process namespace.
func (g Group) Processes() ([]int, error) {
	if _, err := os.Stat(g.dir("pids")); err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	var pids []int
	err := filepath.WalkDir(g.dir("pids"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "cgroup.procs" {
			return nil // it went meanwhile
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		for field := range strings.FieldsSeq(string(b)) {
			if p, err := strconv.Atoi(field); err == nil && p > 0 {
				pids = append(pids, p)
			}
		}
		return nil
	})
	slices.Sort(pids)
	return pids, err
}

// isGone tells whether an error means that there is no such group any more.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}

// number reads a file with one number in it; "max" is the largest.
func number(path string) (uint64, error) {
	text, err := read(path)
	if err != nil {
		return 0, err
	}
	if text == "max" {
		return ^uint64(0), nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot read number: %w", err)
	}
	return n, nil
}

// table reads a file of lines with a name and a number. Lines of another form
// are left out.
func table(path string) (map[string]uint64, error) {
	text, err := readAll(path)
	if err != nil {
		return nil, err
	}
	return parseTable(text), nil
}

func parseTable(text string) map[string]uint64 {
	out := make(map[string]uint64, 64)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(value, 10, 64); err == nil && name != "" {
			out[name] = n
		}
	}
	return out
}
