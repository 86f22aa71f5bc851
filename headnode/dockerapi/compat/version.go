package compat

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Version is a version of the API.
type Version struct{ Major, Minor int }

// The range of versions that the server speaks, both ends included. Docker 1.8
// speaks the oldest.
var (
	Oldest = V(20)
	Newest = V(56)
)

// V returns version 1.minor.
func V(minor int) Version { return Version{1, minor} }

// String returns the version as it stands in paths, without the v.
func (v Version) String() string { return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor) }

// Before reports whether v is older than o. Versions compare as numbers: 1.9
// is older than 1.10.
func (v Version) Before(o Version) bool {
	return cmp.Or(cmp.Compare(v.Major, o.Major), cmp.Compare(v.Minor, o.Minor)) < 0
}

// Parse reads a version like "1.44" and refuses, with the words that Docker
// has for it, one outside of Oldest to Newest.
func Parse(s string) (Version, error) {
	v, err := parseNumbers(s)
	if err != nil {
		return Version{}, err
	}
	if v.Before(Oldest) {
		return Version{}, fmt.Errorf("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", s, Oldest)
	}
	if Newest.Before(v) {
		return Version{}, fmt.Errorf("client version %s is too new. Maximum supported API version is %s", s, Newest)
	}
	return v, nil
}

func parseNumbers(s string) (Version, error) {
	major, minor, _ := strings.Cut(s, ".")
	if minor == "" {
		minor = "0"
	}
	a, errA := strconv.ParseUint(major, 10, 16)
	b, errB := strconv.ParseUint(minor, 10, 16)
	if errA != nil || errB != nil || len(s) > 16 {
		return Version{}, fmt.Errorf("client version %.16q is not a version; use two numbers, as in %s", s, Newest)
	}
	return Version{int(a), int(b)}, nil
}
