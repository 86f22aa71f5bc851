package tables

import (
	"encoding/binary"
	"encoding/hex"
)

// entry is a row by its primary key.
type entry struct {
	key string
	row any
}

func lessEntry(a, b entry) bool { return a.key < b.key }

// reference is what an index beside the primary one has of a row: the key, then
// the row's primary key, then two bytes that say how long that is. It is all in
// one string because there are many of them, and it does not hold the row
// because then each change of a row would be one of every index.
type reference string

func lessReference(a, b reference) bool { return a < b }

const (
	longestID = 1<<16 - 2
	// packed stands for the length of a primary key of 64 hexadecimal digits
	// and a NUL, which most rows of a large data center have: it is held as
	// the digits' 32 bytes, which sort as they do.
	packed     = 1<<16 - 1
	packedSize = 32
	lengthSize = 2
)

// makeReference joins a key and a primary key, of longestID bytes at most.
func makeReference(key []byte, id string) reference {
	r := make([]byte, 0, len(key)+len(id)+lengthSize)
	r = append(r, key...)
	if raw, ok := pack(id); ok {
		return reference(binary.BigEndian.AppendUint16(append(r, raw[:]...), packed))
	}
	return reference(binary.BigEndian.AppendUint16(append(r, id...), uint16(len(id))))
}

// key is the index's key.
func (r reference) key() string {
	n := int(r[len(r)-lengthSize])<<8 | int(r[len(r)-lengthSize+1])
	if n == packed {
		n = packedSize
	}
	return string(r[:len(r)-lengthSize-n])
}

// split is the key and the primary key.
func (r reference) split() (key, id string) {
	body, length := string(r[:len(r)-lengthSize]), r[len(r)-lengthSize:]
	n := int(length[0])<<8 | int(length[1])
	if n != packed {
		return body[:len(body)-n], body[len(body)-n:]
	}
	at := len(body) - packedSize
	digits := make([]byte, 0, 2*packedSize+1)
	return body[:at], string(append(hex.AppendEncode(digits, []byte(body[at:])), 0))
}

// pack returns the bytes of an id that can be held as such.
func pack(id string) (raw [packedSize]byte, ok bool) {
	if len(id) != 2*packedSize+1 || id[2*packedSize] != 0 {
		return raw, false
	}
	for i := range raw {
		high, ok1 := digit(id[2*i])
		low, ok2 := digit(id[2*i+1])
		if !ok1 || !ok2 {
			return raw, false
		}
		raw[i] = high<<4 | low
	}
	return raw, true
}

// digit is the value of a lower-case hexadecimal digit. An upper-case one would
// not be the same when it is unpacked.
func digit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// references are a row's in an index.
func (x *Index) references(row any, id string) ([]reference, error) {
	keys, err := x.Keys(row)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	refs := make([]reference, len(keys))
	for i, k := range keys {
		refs[i] = makeReference(k, id)
	}
	return refs, nil
}
