package zfs

import (
	"regexp"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// maxName is the length of a whole dataset name that every ZFS takes.
const maxName = 200

var (
	nameRule     = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.:-]*(/[a-zA-Z0-9][a-zA-Z0-9_.:-]*)*$`)
	snapshotRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.:-]*$`)
	propertyRule = regexp.MustCompile(`^[a-z0-9][a-z0-9_.:-]*$`)
)

func checkName(name string) error {
	if len(name) > maxName || !nameRule.MatchString(name) {
		return model.Errorf(model.KindInvalid, "invalid dataset name %.64q: use letters, digits and _ . : - in parts divided by single slashes, %d characters at most", name, maxName)
	}
	return nil
}

func checkSnapshot(name string) error {
	dataset, snapshot, ok := strings.Cut(name, "@")
	if !ok || !snapshotRule.MatchString(snapshot) {
		return model.Errorf(model.KindInvalid, "invalid snapshot name %.64q: use dataset@name", name)
	}
	return checkName(dataset)
}

// checkProperty refuses what could be read as another argument or would tear
// the tab-divided output of zfs list apart.
func checkProperty(key, value string) error {
	if !propertyRule.MatchString(key) || strings.ContainsAny(value, "\x00\n\t") || len(value) > 1024 {
		return model.Errorf(model.KindInvalid, "invalid property %.64q=%.64q", key, value)
	}
	return nil
}
