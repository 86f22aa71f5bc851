package state

import (
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// maxExecs bounds how many execs of one container are listed, the newest ones.
const maxExecs = 256

// listExec keeps the list of a container's execs: an entry adds one or takes
// one away, and the end of a container ends them all. The list is never
// changed in place, because readers have it.
func listExec(c *model.Container, e *model.JournalEntry) {
	if e.State != nil && !e.State.Status.Running() {
		c.Execs = nil
		return
	}
	id := e.Attributes["execID"]
	if id == "" {
		return
	}
	others := slices.DeleteFunc(slices.Clone(c.Execs), func(other string) bool { return other == id })
	switch {
	case strings.HasPrefix(e.Action, "exec_create"):
		others = append(others, id)
		c.Execs = others[max(0, len(others)-maxExecs):]
	case e.Action == "exec_die":
		c.Execs = others
	}
	if len(c.Execs) == 0 {
		c.Execs = nil
	}
}
