package iod

import (
	"fmt"
	"strings"
)

// ParseDetachKeys turns "ctrl-p,ctrl-q" into the bytes that a terminal sends.
// Keys are single characters or ctrl- with a letter or one of @ [ \ ] ^ _; ""
// is Docker's default.
func ParseDetachKeys(keys string) ([]byte, error) {
	if keys == "" {
		return []byte{16, 17}, nil
	}
	var seq []byte
	for key := range strings.SplitSeq(keys, ",") {
		letter, isCtrl := strings.CutPrefix(key, "ctrl-")
		switch {
		case len(key) == 1:
			seq = append(seq, key[0])
		case isCtrl && len(letter) == 1 && letter[0] >= 'a' && letter[0] <= 'z':
			seq = append(seq, letter[0]-'a'+1)
		case isCtrl && len(letter) == 1 && (letter[0] == '@' || letter[0] >= '[' && letter[0] <= '_'):
			seq = append(seq, letter[0]&0x1f)
		default:
			return nil, fmt.Errorf("Unknown character: '%.20s'", key)
		}
	}
	return seq, nil
}

// A detacher finds the detach keys in what a user types. Keys that begin the
// sequence are kept back until it is clear that they do not complete it.
type detacher struct {
	seq []byte
	hit int // keys of seq that were typed so far
}

// filter returns what is to be passed on, and whether the user has detached.
func (d *detacher) filter(typed []byte) (pass []byte, detached bool) {
	if len(d.seq) == 0 {
		return typed, false
	}
	for _, c := range typed {
		if c == d.seq[d.hit] {
			if d.hit++; d.hit == len(d.seq) {
				d.hit = 0
				return pass, true
			}
			continue
		}
		pass = append(pass, d.seq[:d.hit]...)
		d.hit = 0
		if c == d.seq[0] && len(d.seq) > 1 {
			d.hit = 1
			continue
		}
		pass = append(pass, c)
	}
	return pass, false
}
