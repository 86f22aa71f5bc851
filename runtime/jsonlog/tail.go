package jsonlog

import (
	"slices"
	"time"
)

// OpenTail returns a Reader that begins with the last n lines; negative is
// all.
func OpenTail(dir string, n int) (*Reader, error) {
	if n < 0 {
		return Open(dir)
	}
	parts, current, err := look(dir)
	if err != nil {
		return nil, err
	}
	r := &Reader{dir: dir}
	if current != nil {
		r.ahead = []*source{current}
	} else if len(parts) > 0 {
		r.pos = parts[len(parts)-1].End
	}
	if err := r.goBack(parts, n); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// goBack opens parts from the newest on until there are n lines, and sets the
// position to where these begin.
func (r *Reader) goBack(parts []Part, n int) error {
	if len(r.ahead) > 0 {
		lines, offset, _, err := r.ahead[0].tail(n)
		if err != nil {
			return err
		}
		n -= lines
		r.pos = r.ahead[0].first + offset
	}
	for _, p := range slices.Backward(parts) {
		if n <= 0 {
			return nil
		}
		s, err := p.open(r.dir)
		if err != nil || s == nil {
			return err // older ones are gone too
		}
		r.ahead = slices.Insert(r.ahead, 0, s)
		lines, offset, skip, err := s.tail(n)
		if err != nil {
			return err
		}
		n -= lines
		r.pos, s.skip = s.first+offset, skip
	}
	return nil
}

// SkipBefore leaves out files that were last written before a time, which have
// no line of a later one. It is called before Next.
func (r *Reader) SkipBefore(at time.Time) {
	for len(r.ahead) > 1 {
		st, err := r.ahead[0].file.Stat()
		if err != nil || !st.ModTime().Before(at) || r.ahead[0].end < 0 {
			return
		}
		r.pos = max(r.pos, r.ahead[0].end)
		r.ahead[0].close()
		r.ahead = r.ahead[1:]
	}
}
