package treesync

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"

	"golang.org/x/sys/unix"
)

// entry is one file of a tree. Names are bytes: no encoding is certain.
type entry struct {
	Path       []byte            `json:"p,omitempty"` // from the top, without a leading slash; empty is the top itself
	Mode       uint32            `json:"m"`           // type and mode as in stat(2)
	UID        uint32            `json:"u,omitempty"`
	GID        uint32            `json:"g,omitempty"`
	Size       int64             `json:"s,omitempty"` // of regular files
	Device     uint64            `json:"d,omitempty"` // of device files
	Target     []byte            `json:"l,omitempty"` // of symbolic links
	Modified   [2]int64          `json:"t"`           // seconds and nanoseconds
	Attributes map[string][]byte `json:"x,omitempty"`
	Inode      uint64            `json:"i,omitempty"` // where the file has more names than this
	Version    string            `json:"v,omitempty"` // "" is too fresh to be told from the next
	End        bool              `json:"end,omitempty"`
}

func (e *entry) kind() uint32 { return e.Mode & unix.S_IFMT }

const (
	// maxLine bounds one entry: a name, a target and all attributes.
	maxLine = 4 << 20
	maxPath = 4096
)

// errShort says that a list or content was cut short.
var errShort = errors.New("the other node's answer ends too early")

// readEntries reads a whole list, and checks that no name leads out of the tree
// and that each comes after its directory.
func readEntries(r io.Reader) ([]entry, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var all []entry
	directories := map[string]bool{}
	seen := map[string]bool{}
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			if !lines.Scan() { // it is the beginning of a line
				err = cmp.Or(lines.Err(), errShort)
			}
			return nil, fmt.Errorf("cannot read the list of files: %w", err)
		}
		if e.End {
			return all, nil
		}
		name := string(e.Path)
		if err := checkEntry(&e, len(all) == 0, directories); err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("cannot read the list of files: %.128q is there twice", name)
		}
		seen[name] = true
		if e.kind() == unix.S_IFDIR {
			directories[name] = true
		}
		all = append(all, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the list of files: %w", err)
	}
	return nil, errShort
}

func checkEntry(e *entry, top bool, directories map[string]bool) error {
	name := string(e.Path)
	switch {
	case top && name == "" && e.kind() == unix.S_IFDIR:
		return nil
	case top, name == "", len(name) > maxPath, path.Clean("/"+name) != "/"+name, bytes.IndexByte(e.Path, 0) >= 0:
		return fmt.Errorf("cannot read the list of files: %.128q names no file of a tree", name)
	case !directories[parentOf(name)]:
		return fmt.Errorf("cannot read the list of files: the directory of %.128q is not there", name)
	case e.Size < 0:
		return fmt.Errorf("cannot read the list of files: the size of %.128q is negative", name)
	}
	switch e.kind() {
	case unix.S_IFDIR, unix.S_IFREG, unix.S_IFLNK, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFSOCK:
		return nil
	}
	return fmt.Errorf("cannot read the list of files: %.128q has a type that no file has", name)
}

// parentOf is the directory of a name, "" for what is at the top.
func parentOf(name string) string {
	dir := path.Dir(name)
	if dir == "." {
		return ""
	}
	return dir
}
