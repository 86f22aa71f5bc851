package resolver

import "sync/atomic"

// Counts are questions by what became of them.
type Counts struct {
	Answered uint64 `json:"answered"` // from what is known here
	Passed   uint64 `json:"passed"`   // passed on, and a name server answered
	Failed   uint64 `json:"failed"`   // passed on, and none answered
	// Dropped were left without an answer: the container asked too much at once,
	// or nothing was known yet.
	Dropped uint64 `json:"dropped"`
}

// Tally counts questions, of as many Servers as one likes. The zero value is
// ready; its methods may be called by many goroutines at once.
type Tally struct{ answered, passed, failed, dropped atomic.Uint64 }

// Counts returns what was counted so far.
func (t *Tally) Counts() Counts {
	return Counts{Answered: t.answered.Load(), Passed: t.passed.Load(), Failed: t.failed.Load(), Dropped: t.dropped.Load()}
}
