package agree

import "slices"

// outcome is what a comparison comes to for the head that makes it.
type outcome int

const (
	equal        outcome = iota // nobody differs
	othersDiffer                // this head is with the majority
	undecided                   // somebody differs, and no majority is known
	diverged                    // a majority differs from this head
)

type verdict struct {
	outcome outcome
	differ  []string // the heads that differ from this one, sorted
}

// judge looks at the answers of heads, me among them. A majority is one of all
// voters, whether they have answered or not; those of another version than mine
// do not count as different.
func judge(me string, answers map[string]Answer, voters int) verdict {
	mine := answers[me]
	var v verdict
	agree := map[string]int{}
	for id, a := range answers {
		if a.Version != mine.Version {
			continue
		}
		agree[a.Hash]++
		if a.Hash != mine.Hash {
			v.differ = append(v.differ, id)
		}
	}
	if len(v.differ) == 0 {
		return v
	}
	slices.Sort(v.differ)
	v.outcome = undecided
	for hash, heads := range agree {
		if heads <= voters/2 {
			continue
		}
		v.outcome = diverged
		if hash == mine.Hash {
			v.outcome = othersDiffer
		}
	}
	return v
}
