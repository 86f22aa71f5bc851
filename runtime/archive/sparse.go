package archive

import (
	"io"

	"github.com/spearheadcloud/spearhead/model"
)

// A few bytes can describe a sparse file of any size, and the time to look at
// all its zeros is the node's. Up to sparseFree bytes that is let pass, and then
// sparseRatio times what the archive itself has.
const (
	sparseFree  = 4 << 30
	sparseRatio = 10_000
)

// gauge counts the bytes that pass.
type gauge struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (g *gauge) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	g.n += int64(n)
	return n, err
}

// expansion is what the files of an archive have, holes included.
type expansion struct {
	gauge
	archive *gauge
}

// Read implements io.Reader.
func (e *expansion) Read(p []byte) (int, error) {
	n, err := e.gauge.Read(p)
	if e.n > sparseFree && (e.n-sparseFree)/sparseRatio > e.archive.n {
		return n, model.Errorf(model.KindInvalid, "the archive's sparse files are more than %d times its size", sparseRatio)
	}
	return n, err
}
