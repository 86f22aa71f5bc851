package logship

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
)

// cursorName is the file, among those of the log, that says how far it was sent.
const cursorName = "sent.json"

// A cursor is a place between two lines of a log.
type cursor struct {
	Position int64     `json:"position"`
	Pieces   [3]pieces `json:"pieces"` // by stream
}

// pieces counts those of a text that is longer than a line may be.
type pieces struct {
	First int64 `json:"first,omitempty"` // position of the first one
	Count int   `json:"count,omitempty"` // 0: there is no such text just now
}

// loadCursor returns the beginning of the log if none was saved. A damaged one
// is an error, and the beginning.
func loadCursor(dir string) (c cursor, err error) {
	err = atomicfile.ReadJSON(filepath.Join(dir, cursorName), &c)
	if errors.Is(err, fs.ErrNotExist) {
		return cursor{}, nil
	}
	if err == nil && c.Position < 0 {
		err = fmt.Errorf("cannot read %s: the position is negative", cursorName)
	}
	if err != nil {
		return cursor{}, err
	}
	return c, nil
}

func (c cursor) save(dir string) error {
	return atomicfile.WriteJSON(filepath.Join(dir, cursorName), c, 0o600)
}
