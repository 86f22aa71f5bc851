package metrics

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func (n *node) Names(context.Context) (Names, error) {
	return Names{Resolvers: 1, Answered: 5, Passed: 6, Failed: 7, Dropped: 8}, n.fails
}

func TestQuestionsForNamesAreTold(t *testing.T) {
	t.Parallel()
	text := scrape(t, New("node-1", "v1").Handler(&node{}, slog.New(slog.DiscardHandler)))
	for _, want := range []string{
		"spearhead_agent_names_up 1", "spearhead_agent_names_resolvers 1",
		`spearhead_agent_names_questions_total{outcome="answered"} 5`, `spearhead_agent_names_questions_total{outcome="passed"} 6`,
		`spearhead_agent_names_questions_total{outcome="failed"} 7`, `spearhead_agent_names_questions_total{outcome="dropped"} 8`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the answer lacks %s", want)
		}
	}
	text = scrape(t, New("node-1", "v1").Handler(&node{fails: errors.New("no answer")}, slog.New(slog.DiscardHandler)))
	if !strings.Contains(text, "spearhead_agent_names_up 0") || strings.Contains(text, "names_questions_total{") {
		t.Error("a process that does not answer is not told of, or more is told than it said")
	}
}
