package tarfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// AttributeRecord begins the pax records that hold extended attributes.
const AttributeRecord = "SCHILY.xattr."

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

// addAttributes adds the attributes of what is open at fd, O_PATH or not. What
// vanishes meanwhile, and a file system without attributes, has none.
func addAttributes(header *tar.Header, fd int) error {
	self := fmt.Sprintf("/proc/self/fd/%d", fd)
	list, err := attribute(func(buffer []byte) (int, error) { return unix.Listxattr(self, buffer) })
	if err != nil {
		return err
	}
	for key := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		if !wantedAttribute(key) || strings.Contains(key, "=") { // no record can have such a name
			continue
		}
		value, err := attribute(func(buffer []byte) (int, error) { return unix.Getxattr(self, key, buffer) })
		if err != nil {
			return err
		}
		if header.PAXRecords == nil {
			header.PAXRecords = make(map[string]string)
		}
		header.PAXRecords[AttributeRecord+key] = string(value)
	}
	return nil
}

// attribute reads something of a size that is not known before.
func attribute(read func([]byte) (int, error)) ([]byte, error) {
	buffer := make([]byte, 256)
	for {
		n, err := read(buffer)
		switch {
		case errors.Is(err, unix.ERANGE) && len(buffer) < 64<<10:
			buffer = make([]byte, 64<<10)
		case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOENT):
			return nil, nil
		case err != nil:
			return nil, err
		default:
			return buffer[:n], nil
		}
	}
}
