package state

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/spearheadcloud/spearhead/model"
)

// A snapshot is lines of JSON: a header, a line for each row in the order of
// the tables below and of their keys, and a last line with the number of rows
// and the SHA-256 of all lines before it. The same state always gives the same
// bytes.
const (
	snapshotFormat  = "spearhead-state"
	snapshotVersion = 1
	// maxLine bounds a row. Containers are the largest: their create request
	// is bounded by the API to a few MiB.
	maxLine = 64 << 20
)

type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Index   uint64 `json:"index"`
}

type line struct {
	Table string          `json:"t"`
	Row   json.RawMessage `json:"r"`
}

type trailer struct {
	Rows   int    `json:"rows"`
	SHA256 string `json:"sha256"`
}

// NewerError says that a snapshot was written by a program that knows more
// than this one.
type NewerError struct {
	What string
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the snapshot has %s: this head needs a newer version of spearhead", e.What)
}

// savedTable says how rows of a table are written and read back.
type savedTable struct {
	name string
	load func(t *transaction, row []byte) error
}

// savedTables are in the order of the snapshot, which is also one in which
// rows can be read back.
func savedTables() []savedTable {
	return []savedTable{
		{tableSettings, loadRow[setting](tableSettings)},
		{tableAccounts, loadRow[model.Account](tableAccounts)},
		{tableVersions, loadRow[accountVersion](tableVersions)},
		{tablePackages, loadRow[model.Package](tablePackages)},
		{tableNetworks, loadRow[model.Network](tableNetworks)},
		{tableNodes, loadRow[model.Node](tableNodes)},
		{tableImages, loadRow[model.Image](tableImages)},
		{tableImageNames, loadRow[model.ImageName](tableImageNames)},
		{tableVolumes, loadVolume},
		{tableContainers, loadContainer},
		{tableBuilders, loadBuilder},
		{tableEvents, loadEvent},
		{tableHeads, loadRow[model.Head](tableHeads)},
		{tableRemovedHeads, loadRow[removedHead](tableRemovedHeads)},
		{tableRequests, loadRequest},
		{tableTokens, loadRow[model.Token](tableTokens)},
		{tableDeparted, loadRow[departed](tableDeparted)},
		{tableKeyring, loadRow[model.Keyring](tableKeyring)},
		{tableRules, loadRow[model.Rule](tableRules)},
		{tablePools, loadRow[model.NetworkPool](tablePools)},
	}
}

// Write writes a snapshot of the view.
func (v *View) Write(w io.Writer) error {
	_, err := v.write(w, func(row any) any { return row })
	return err
}

// Hash is the SHA-256 of the view's snapshot without the texts of refusals,
// which another release may word in another way: equal on all heads at the same
// index.
func (v *View) Hash() (string, error) {
	return v.write(io.Discard, func(row any) any {
		if r, ok := row.(*request); ok {
			return &request{ID: r.ID, Index: r.Index, Kind: r.Kind}
		}
		return row
	})
}

// write writes what as makes of each row.
func (v *View) write(w io.Writer, as func(row any) any) (string, error) {
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(header{Format: snapshotFormat, Version: snapshotVersion, Index: v.Index()}); err != nil {
		return "", fmt.Errorf("cannot write snapshot: %w", err)
	}
	rows := 0
	for _, table := range savedTables() {
		n, err := v.writeTable(enc, table.name, as)
		if err != nil {
			return "", fmt.Errorf("cannot write table %s to snapshot: %w", table.name, err)
		}
		rows += n
	}
	if err := out.Flush(); err != nil {
		return "", fmt.Errorf("cannot write snapshot: %w", err)
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	if err := json.NewEncoder(w).Encode(trailer{Rows: rows, SHA256: digest}); err != nil {
		return "", fmt.Errorf("cannot write snapshot: %w", err)
	}
	return digest, nil
}

func (v *View) writeTable(enc *json.Encoder, table string, as func(row any) any) (rows int, err error) {
	it, err := v.txn.Get(table, indexID)
	if err != nil {
		return 0, err
	}
	for row := it.Next(); row != nil; row = it.Next() {
		err := enc.Encode(struct {
			Table string `json:"t"`
			Row   any    `json:"r"`
		}{table, as(row)})
		if err != nil {
			return 0, err
		}
		rows++
	}
	return rows, nil
}

// Restore reads a snapshot into a new state. It refuses one that is damaged or
// incomplete, and with a *NewerError one that it does not understand.
func Restore(r io.Reader) (*State, error) {
	s := New()
	t := s.begin(0)
	if err := t.read(r); err != nil {
		t.txn.Abort()
		return nil, fmt.Errorf("cannot restore snapshot: %w", err)
	}
	if err := t.commit(); err != nil {
		return nil, fmt.Errorf("cannot restore snapshot: %w", err)
	}
	return s, nil
}

func (t *transaction) read(r io.Reader) error {
	lines := &lineReader{in: bufio.NewReaderSize(r, 64<<10), sum: sha256.New()}
	data, err := lines.next()
	if err != nil {
		return err
	}
	var h header
	if err := json.Unmarshal(data, &h); err != nil || h.Format != snapshotFormat {
		return errors.New("it does not begin as a snapshot does")
	}
	if h.Version != snapshotVersion {
		return &NewerError{What: fmt.Sprintf("version %d", h.Version)}
	}
	t.index = h.Index
	loaders := map[string]func(*transaction, []byte) error{}
	for _, table := range savedTables() {
		loaders[table.name] = table.load
	}
	for rows := 0; ; rows++ {
		digest := hex.EncodeToString(lines.sum.Sum(nil))
		data, err := lines.next()
		if err != nil {
			return err
		}
		var l line
		if err := json.Unmarshal(data, &l); err != nil {
			return fmt.Errorf("row %d is damaged: %w", rows+1, err)
		}
		if l.Table == "" {
			return checkTrailer(data, rows, digest)
		}
		load, ok := loaders[l.Table]
		if !ok {
			return &NewerError{What: fmt.Sprintf("the table %q", l.Table)}
		}
		if err := load(t, l.Row); err != nil {
			return fmt.Errorf("row %d of table %s: %w", rows+1, l.Table, err)
		}
	}
}

func checkTrailer(data []byte, rows int, digest string) error {
	var end trailer
	if err := json.Unmarshal(data, &end); err != nil {
		return fmt.Errorf("its end is damaged: %w", err)
	}
	if end.Rows != rows || end.SHA256 != digest {
		return errors.New("it is damaged: its checksum is not that of its rows")
	}
	return nil
}

// lineReader reads bounded lines and sums up what it has read.
type lineReader struct {
	in  *bufio.Reader
	sum hash.Hash
}

func (l *lineReader) next() ([]byte, error) {
	var data []byte
	for {
		part, err := l.in.ReadSlice('\n')
		data = append(data, part...)
		if len(data) > maxLine {
			return nil, fmt.Errorf("a row is larger than %d bytes", maxLine)
		}
		if err == nil {
			l.sum.Write(data)
			return data, nil
		}
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it ends too early")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}

func loadRow[T any](table string) func(*transaction, []byte) error {
	return func(t *transaction, data []byte) error {
		row, err := decodeRow[T](data)
		if err != nil {
			return err
		}
		return t.insert(table, row)
	}
}

func loadContainer(t *transaction, data []byte) error {
	c, err := decodeRow[model.Container](data)
	if err != nil {
		return err
	}
	if exists(t.txn, tableContainers, indexID, c.ID) {
		return fmt.Errorf("the container %s is there twice", c.ID)
	}
	return t.addContainer(c)
}

func loadEvent(t *transaction, data []byte) error {
	e, err := decodeRow[model.Event](data)
	if err != nil {
		return err
	}
	if e.Order < 0 {
		return errors.New("an event has no place")
	}
	t.events = append(t.events, *e)
	return nil
}

// decodeRow refuses fields that it does not know: a state without them would
// not be that of the other heads.
func decodeRow[T any](data []byte) (*T, error) {
	var row T
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&row); err != nil {
		return nil, err
	}
	return &row, nil
}
