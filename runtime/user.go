package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	mobyuser "github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/ocispec"
)

const (
	maxUserFile = 1 << 20
	maxID       = math.MaxInt32 - 1
)

// resolveUser finds who "user[:group]" and the additional groups are in a
// container's own /etc/passwd and /etc/group. A number is always a number,
// also when the image has a user of that name; one that the files do not know
// is used as it is.
func resolveUser(root *os.File, name string, groupAdd []string) (ocispec.User, error) {
	passwd, err := readInRoot(root, "/etc/passwd")
	if err != nil {
		return ocispec.User{}, err
	}
	group, err := readInRoot(root, "/etc/group")
	if err != nil {
		return ocispec.User{}, err
	}
	users, err := mobyuser.ParsePasswd(bytes.NewReader(passwd))
	if err != nil {
		return ocispec.User{}, model.WrapError(model.KindInvalid, err, "the image's /etc/passwd is not readable")
	}
	groups, err := mobyuser.ParseGroup(bytes.NewReader(group))
	if err != nil {
		return ocispec.User{}, model.WrapError(model.KindInvalid, err, "the image's /etc/group is not readable")
	}
	return lookupUser(users, groups, name, groupAdd)
}

func lookupUser(users []mobyuser.User, groups []mobyuser.Group, name string, groupAdd []string) (ocispec.User, error) {
	userName, groupName, withGroup := strings.Cut(name, ":")
	if userName == "" {
		userName = "0"
	}
	entry, err := findUser(users, userName)
	if err != nil {
		return ocispec.User{}, err
	}
	if err := checkIDs(entry.Uid, entry.Gid); err != nil {
		return ocispec.User{}, err
	}
	u := ocispec.User{UID: uint32(entry.Uid), GID: uint32(entry.Gid), Home: entry.Home}
	if withGroup && groupName != "" {
		if u.GID, err = findGroup(groups, groupName); err != nil {
			return ocispec.User{}, err
		}
	}
	u.Groups = []uint32{u.GID}
	if !withGroup {
		for _, g := range groups {
			if entry.Name != "" && slices.Contains(g.List, entry.Name) && checkIDs(g.Gid) == nil {
				u.Groups = append(u.Groups, uint32(g.Gid))
			}
		}
	}
	for _, name := range groupAdd {
		gid, err := findGroup(groups, name)
		if err != nil {
			return ocispec.User{}, err
		}
		u.Groups = append(u.Groups, gid)
	}
	slices.Sort(u.Groups)
	u.Groups = slices.Compact(u.Groups)
	return u, nil
}

func findUser(users []mobyuser.User, name string) (mobyuser.User, error) {
	id, isNumber, err := number(name)
	if err != nil {
		return mobyuser.User{}, err
	}
	for _, u := range users {
		if isNumber && u.Uid == id || !isNumber && u.Name == name {
			return u, nil
		}
	}
	if isNumber {
		return mobyuser.User{Uid: id}, nil
	}
	return mobyuser.User{}, model.Errorf(model.KindInvalid, "unable to find user %.64s: no matching entries in passwd file", name)
}

func findGroup(groups []mobyuser.Group, name string) (uint32, error) {
	id, isNumber, err := number(name)
	if err != nil {
		return 0, err
	}
	if isNumber {
		return uint32(id), nil
	}
	for _, g := range groups {
		if g.Name == name {
			return uint32(g.Gid), checkIDs(g.Gid)
		}
	}
	return 0, model.Errorf(model.KindInvalid, "unable to find group %.64s: no matching entries in group file", name)
}

// number tells whether name is written as a number, and which.
func number(name string) (id int, is bool, err error) {
	if strings.Trim(name, "0123456789") != "" && strings.Trim(strings.TrimLeft(name, "+-"), "0123456789") != "" || name == "" {
		return 0, false, nil
	}
	id, err = strconv.Atoi(name)
	if err != nil || strings.ContainsAny(name, "+-") {
		id = -1
	}
	return id, true, checkIDs(id)
}

func checkIDs(ids ...int) error {
	for _, id := range ids {
		if id < 0 || id > maxID {
			return model.Errorf(model.KindInvalid, "uids and gids must be in range 0-%d", maxID)
		}
	}
	return nil
}

// readInRoot reads a small file of a container without ever leaving its root,
// whatever links it has made. A missing file is empty.
func readInRoot(root *os.File, path string) ([]byte, error) {
	handle, err := pathrs.OpenatInRoot(root, path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, model.WrapError(model.KindInvalid, err, "the image's %s is not readable", path)
	}
	defer handle.Close()
	st, err := handle.Stat()
	if err != nil || !st.Mode().IsRegular() { // opening a FIFO would wait for ever
		return nil, model.WrapError(model.KindInvalid, errors.Join(err, fs.ErrInvalid), "the image's %s is not a file", path)
	}
	f, err := pathrs.Reopen(handle, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s of container: %w", path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxUserFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s of container: %w", path, err)
	}
	if len(b) > maxUserFile {
		return nil, model.Errorf(model.KindInvalid, "the image's %s is larger than 1 MiB", path)
	}
	return b, nil
}
