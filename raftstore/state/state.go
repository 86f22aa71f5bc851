package state

import (
	"errors"
	"fmt"

	"github.com/spearheadcloud/spearhead/raftstore/tables"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// Events are kept up to a number and, because labels are part of them, to a
// sum of bytes; the oldest go first.
const (
	maxEvents     = 10_000
	maxEventBytes = 64 << 20
)

// State is the tables. Apply must be called by one goroutine at a time; View
// may be called by any at any time.
type State struct {
	db   *tables.DB
	maps *sharedMaps // of the rows
}

// New returns an empty state.
func New() *State {
	db, err := tables.New(schema())
	if err != nil {
		// The schema is a constant of the program.
		panic(fmt.Sprintf("state: invalid schema: %v", err))
	}
	return &State{db: db, maps: newSharedMaps()}
}

// View returns the state of this moment.
func (s *State) View() *View { return &View{txn: s.db.Txn(false)} }

// Apply carries out one log entry. It either changes all that the command says
// or nothing but the index. A request that is repeated changes nothing either
// and is answered as it was the first time. It returns the index of the entry
// that carried the command out, or an error for whoever proposed it; that is a
// *model.Error unless a table could not be written, which is a defect.
func (s *State) Apply(index uint64, e command.Entry) (uint64, error) {
	t := s.begin(index)
	if e.Request != "" {
		if first, refusal, known := t.Request(e.Request); known {
			return first, errors.Join(t.commit(), refusal)
		}
	}
	err := t.apply(e.Command)
	var refused *model.Error
	if err != nil {
		t.txn.Abort()
		if !errors.As(err, &refused) {
			return 0, err
		}
		t = s.begin(index)
	}
	if e.Request != "" {
		t.requests = append(t.requests, t.outcome(e.Request, refused))
	}
	if commitErr := t.commit(); commitErr != nil {
		return 0, commitErr
	}
	return index, err
}

// transaction is the application of one entry.
type transaction struct {
	*View    // as it is with the changes so far
	index    uint64
	order    int             // of the next event
	events   []model.Event   // to be written at the end
	requests []*request      // whose outcomes are to be written at the end
	changed  map[string]bool // ids of accounts
	turned   map[string]bool // ids of nodes
	maps     *sharedMaps     // the State's
}

func (s *State) begin(index uint64) *transaction {
	return &transaction{View: &View{txn: s.db.Txn(true)}, index: index, changed: map[string]bool{}, turned: map[string]bool{}, maps: s.maps}
}

func (t *transaction) commit() error {
	m := t.meta()
	m.Index = t.index
	if err := errors.Join(t.writeEvents(&m), t.writeRequests(&m), t.writeNodeChanges(&m)); err != nil {
		t.txn.Abort()
		return err
	}
	for id := range t.changed {
		if err := t.insert(tableVersions, &accountVersion{AccountID: id, Index: t.index}); err != nil {
			t.txn.Abort()
			return err
		}
	}
	if err := t.insert(tableMeta, &m); err != nil {
		t.txn.Abort()
		return err
	}
	t.txn.Commit()
	return nil
}

func (t *transaction) insert(table string, row any) error {
	t.noteNode(row)
	if err := t.txn.Insert(table, row); err != nil {
		return fmt.Errorf("cannot write to table %s: %w", table, err)
	}
	return nil
}

func (t *transaction) delete(table string, row any) error {
	t.noteNode(row)
	if err := t.txn.Delete(table, row); err != nil {
		return fmt.Errorf("cannot delete from table %s: %w", table, err)
	}
	return nil
}

// touch notes that something of the account changes.
func (t *transaction) touch(accountID string) { t.changed[accountID] = true }

func (t *transaction) apply(c command.Command) error {
	apply, ok := rules[c.Number()]
	if !ok {
		return fmt.Errorf("cannot apply command %d: it has no rule", c.Number())
	}
	return apply(t, c)
}
