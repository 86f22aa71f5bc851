package unpack

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// xattrRecord begins the PAX records that hold extended attributes.
const xattrRecord = "SCHILY.xattr."

// clear makes room for an entry: what is there already goes, but for a
// directory that stays one.
func (u *unpacker) clear(parent int, base string, header *tar.Header) error {
	var st unix.Stat_t
	err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	if header.Typeflag == tar.TypeDir && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return nil
	}
	return u.tree.removeAll(parent, base)
}

func (u *unpacker) create(ctx context.Context, parent int, base string, header *tar.Header, content io.Reader) error {
	mode := uint32(header.Mode & 0o7777)
	var err error
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		return u.file(ctx, parent, base, header, content)
	case tar.TypeDir:
		if err = unix.Mkdirat(parent, base, 0o700); errors.Is(err, unix.EEXIST) {
			err = nil
		}
	case tar.TypeSymlink:
		err = unix.Symlinkat(header.Linkname, parent, base)
	case tar.TypeLink:
		return u.hardLink(parent, base, header.Linkname)
	case tar.TypeFifo:
		err = unix.Mknodat(parent, base, unix.S_IFIFO|mode, 0)
	case tar.TypeChar, tar.TypeBlock:
		err = device(parent, base, header, mode)
	default:
		return refuse("%.128q has a type (%q) that no layer can hold", header.Name, header.Typeflag)
	}
	if err != nil {
		return err
	}
	return decorate(parent, base, header)
}

func device(parent int, base string, header *tar.Header, mode uint32) error {
	if header.Devmajor < 0 || header.Devmajor > 0xfff || header.Devminor < 0 || header.Devminor > 0xfffff {
		return refuse("%.128q has a device number that does not exist", header.Name)
	}
	kind := uint32(unix.S_IFCHR)
	if header.Typeflag == tar.TypeBlock {
		kind = unix.S_IFBLK
	} else if header.Devmajor == 0 && header.Devminor == 0 {
		return refuse("%.128q is the device by which an overlay hides files", header.Name)
	}
	return unix.Mknodat(parent, base, kind|mode, int(unix.Mkdev(uint32(header.Devmajor), uint32(header.Devminor))))
}

func (u *unpacker) file(ctx context.Context, parent int, base string, header *tar.Header, content io.Reader) error {
	fd, err := unix.Openat(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), base)
	err = u.fill(ctx, file, content)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return decorate(parent, base, header)
}

// fill copies a file's content and tells an error of the archive, which the
// reader returned, from one of the file system.
func (u *unpacker) fill(ctx context.Context, file *os.File, content io.Reader) error {
	for {
		n, err := content.Read(u.buffer)
		if n > 0 {
			u.size += int64(n)
			if _, err := file.Write(u.buffer[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return streamError(err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// hardLink links to another name of the tree. The name's last part is not
// followed: a link to a symbolic link is one more name of that link.
func (u *unpacker) hardLink(parent int, base, target string) error {
	dir, name := path.Split(path.Clean("/" + target))
	if name == "" {
		return refuse("it links %.128q to the root", base)
	}
	from, err := u.tree.resolve(dir)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	return unix.Linkat(from, name, parent, base, 0)
}

// decorate sets owner, mode, attributes and times. The order matters: a change
// of owner clears setuid bits and capabilities.
func decorate(parent int, base string, header *tar.Header) error {
	if err := unix.Fchownat(parent, base, header.Uid, header.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if header.Typeflag != tar.TypeSymlink {
		if err := unix.Fchmodat(parent, base, uint32(header.Mode&0o7777), 0); err != nil {
			return err
		}
	}
	for record, value := range header.PAXRecords {
		key, ok := strings.CutPrefix(record, xattrRecord)
		if !ok || !wantedAttribute(key) {
			continue
		}
		// There is no setxattr by descriptor and name; the descriptor's
		// directory is fixed and the last part is not followed.
		err := unix.Lsetxattr(fmt.Sprintf("/proc/self/fd/%d/%s", parent, base), key, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.EPERM) {
			return err
		}
	}
	stamps := times(header)
	return unix.UtimesNanoAt(parent, base, stamps[:], unix.AT_SYMLINK_NOFOLLOW)
}

// wantedAttribute lets pass what programs in a container can see and use.
// trusted.overlay.* and its kin would speak to the node's kernel.
func wantedAttribute(key string) bool {
	switch {
	case strings.HasPrefix(key, "user.overlay."):
		return false
	case strings.HasPrefix(key, "user."), key == "security.capability", strings.HasPrefix(key, "system.posix_acl_"):
		return true
	}
	return false
}

func times(header *tar.Header) [2]unix.Timespec {
	modified := unix.NsecToTimespec(header.ModTime.UnixNano())
	accessed := modified
	if !header.AccessTime.IsZero() {
		accessed = unix.NsecToTimespec(header.AccessTime.UnixNano())
	}
	return [2]unix.Timespec{accessed, modified}
}
