package metrics

import "context"

// Names is what the process that resolves names for containers did since it
// began.
type Names struct {
	Resolvers int // that it has, one for each container
	// Questions by what became of them: answered from what the node knows, passed
	// on and answered by a name server, passed on and answered by none, and left
	// without an answer because the container asked too much at once.
	Answered, Passed, Failed, Dropped uint64
}

var (
	namesUp        = describe("spearhead_agent_names_up", "1 if the process that resolves names for containers answers.")
	namesResolvers = describe("spearhead_agent_names_resolvers", "Containers whose names are resolved.")
	namesQuestions = describe("spearhead_agent_names_questions_total", "Questions of containers for names, by outcome: answered, passed, failed (no name server answered), dropped (too many at once).", "outcome")
)

// names tells of the process that resolves names.
func (c *collector) names(ctx context.Context, e *emitter) {
	n, err := c.node.Names(ctx)
	if err != nil {
		c.log.Warn("cannot ask the process that resolves names", "op", "metrics", "err", err)
		e.gauge(namesUp, 0)
		return
	}
	e.gauge(namesUp, 1)
	e.gauge(namesResolvers, float64(n.Resolvers))
	e.counter(namesQuestions, float64(n.Answered), "answered")
	e.counter(namesQuestions, float64(n.Passed), "passed")
	e.counter(namesQuestions, float64(n.Failed), "failed")
	e.counter(namesQuestions, float64(n.Dropped), "dropped")
}
