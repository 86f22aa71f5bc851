package placement

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// NoNodeError is the cause of a refusal: a decision without a node, for those
// who count reasons.
type NoNodeError struct{ Decision Decision }

// Error implements error.
func (*NoNodeError) Error() string { return "no node can hold the container" }

// Passing reports whether a node was left out for what is over in a moment.
func (e *NoNodeError) Passing() bool {
	return slices.ContainsFunc(e.Decision.Refused, func(c Count) bool { return c.Reason == reasonTexts[oldCopy] })
}

// refusal is the error for a request that no node can hold. It counts and
// names nobody.
func refusal(d Decision) error {
	if d.Considered == 0 {
		return model.WrapError(model.KindExhausted, &NoNodeError{d},
			"No compute resources available: the data center has no nodes yet; ask the operator to enrol one")
	}
	parts := make([]string, len(d.Refused))
	for i, c := range d.Refused {
		parts[i] = fmt.Sprintf("%d %s", c.Nodes, singular(c))
	}
	return model.WrapError(model.KindExhausted, &NoNodeError{d}, "No compute resources available: %s: %s",
		plural(d.Considered, "node"), strings.Join(parts, ", "))
}

// singular bends a reason to one node: "1 lacks memory", "1 is cordoned".
func singular(c Count) string {
	text := c.Text()
	if c.Nodes != 1 {
		return text
	}
	verb, rest, _ := strings.Cut(text, " ")
	for _, v := range []struct{ many, one string }{{"are", "is"}, {"have", "has"}, {"lack", "lacks"}, {"do", "does"}, {"keep", "keeps"}, {"cannot", "cannot"}} {
		if verb == v.many {
			return v.one + " " + rest
		}
	}
	return text
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
