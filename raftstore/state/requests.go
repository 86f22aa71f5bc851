package state

import (
	"fmt"
	"strings"

	"github.com/spearheadcloud/spearhead/raftstore/tables"

	"github.com/spearheadcloud/spearhead/model"
)

// The outcomes of the latest requests are kept, so that a request that is
// repeated, because nobody knows whether it came into force, is answered and
// not carried out again. The oldest go first.
const (
	maxRequests    = 16_384
	maxRefusalText = 512 // bytes of a refusal's text that are remembered
)

// request is a row of tableRequests: the outcome of a request that had an id.
type request struct {
	ID    string     `json:"id"`
	Index uint64     `json:"index"`          // of the entry that was its first
	Kind  model.Kind `json:"kind,omitempty"` // of the refusal, empty if it came into force
	Text  string     `json:"text,omitempty"` // of the refusal
}

func requestsTable() *tables.Table {
	return table(tableRequests,
		unique(indexID, func(r *request) []string { return []string{r.ID} }),
		numbered(indexEntry, true, func(r *request) []byte { return indexKey(r.Index) }, indexArgument))
}

// refusal is what was answered, nil if the request came into force.
func (r *request) refusal() error {
	if r.Kind == "" {
		return nil
	}
	return &model.Error{Kind: r.Kind, Text: r.Text}
}

// Request tells what became of the request with that id, if it is one of the
// latest: the entry that carried it out or refused it, and the refusal.
func (v *View) Request(id string) (index uint64, refusal error, known bool) {
	r, ok := first[request](v.txn, tableRequests, indexID, id)
	return r.Index, r.refusal(), ok
}

// writeRequests writes down the outcomes of this entry's requests and forgets
// the oldest until there are maxRequests; m counts them.
func (t *transaction) writeRequests(m *meta) error {
	for _, r := range t.requests {
		if err := t.insert(tableRequests, r); err != nil {
			return err
		}
		m.Requests++
	}
	for ; m.Requests > maxRequests; m.Requests-- {
		oldest, err := t.txn.First(tableRequests, indexEntry)
		if err != nil {
			return fmt.Errorf("cannot find the oldest request: %w", err)
		}
		if err := t.delete(tableRequests, oldest); err != nil {
			return err
		}
	}
	return nil
}

// outcome is the row of a request that this entry has decided on.
func (t *transaction) outcome(id string, refused *model.Error) *request {
	r := &request{ID: id, Index: t.index}
	if refused != nil {
		r.Kind = refused.Kind
		// A character that is cut in two would not come back from a snapshot.
		r.Text = strings.ToValidUTF8(refused.Text[:min(len(refused.Text), maxRefusalText)], "")
	}
	return r
}

func loadRequest(t *transaction, data []byte) error {
	r, err := decodeRow[request](data)
	if err != nil {
		return err
	}
	t.requests = append(t.requests, r)
	return nil
}
