package runtime

import "os"

// UserIDs finds who "user[:group]" is in a container whose root is open: as
// whom its processes run that name no other user.
func UserIDs(root *os.File, user string) (uid, gid uint32, err error) {
	u, err := resolveUser(root, user, nil)
	return u.UID, u.GID, err
}
