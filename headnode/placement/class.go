package placement

import (
	"slices"
	"strings"
)

// class is what many nodes have in common; each is judged once a decision.
type class struct {
	platform string
	storage  string
	tags     []string
	traits   []string
	owners   []string
	fabrics  bool // can be reached by those of other nodes
}

// key is a text that only equal classes have.
func (c *class) key() string {
	key := c.platform + "\x01" + c.storage
	for _, list := range [][]string{c.tags, c.traits, c.owners} {
		key += "\x00\x00" + strings.Join(list, "\x00")
	}
	if c.fabrics {
		key += "\x00\x00\x00"
	}
	return key
}

// refuses tells why nodes of the class cannot have the container.
func (c *class) refuses(r *Request) reason {
	switch {
	case r.Platform != "" && c.platform != r.Platform:
		return otherPlatform
	case r.Storage != "" && c.storage != r.Storage:
		return otherStorage
	case len(c.owners) > 0 && !slices.Contains(c.owners, r.AccountID):
		return otherOwners
	case !hasAll(c.traits, r.Traits), !hasAll(r.Traits, c.traits):
		return otherTraits
	case !hasAll(c.tags, r.NICTags), r.Fabric && !c.fabrics:
		return noNetwork
	}
	return none
}

func hasAll(have, want []string) bool {
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}
