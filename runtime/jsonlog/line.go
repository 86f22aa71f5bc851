package jsonlog

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// maxLine is more than 16 KiB of text can need as a line.
const maxLine = 256 << 10

// An Entry is one line of a log. Text is valid until the next one is read.
type Entry struct {
	Text   []byte
	Stream byte // 1 stdout, 2 stderr

	stamp  []byte    // RFC 3339, unless
	parsed time.Time // is set
}

// Time is when the line was logged; zero if that cannot be read.
func (e *Entry) Time() time.Time {
	if e.parsed.IsZero() && len(e.stamp) > 0 {
		e.parsed, _ = time.Parse(time.RFC3339Nano, string(e.stamp))
	}
	return e.parsed
}

var (
	beforeText   = []byte(`{"log":"`)
	beforeStream = []byte(`","stream":"`)
	beforeTime   = []byte(`","time":"`)
	beforeRaw    = []byte(`","raw":"`)
	lineEnd      = []byte(`"}`)
)

// Append appends a line for a text that came from stream 1 or 2.
func Append(b []byte, stream byte, text []byte, at time.Time) []byte {
	return AppendStamped(b, stream, text, AppendStamp(nil, at))
}

// AppendStamp appends a time as lines have it.
func AppendStamp(b []byte, at time.Time) []byte {
	return at.AppendFormat(b, time.RFC3339Nano)
}

// AppendStamped is Append for many lines of one time, given as AppendStamp
// writes it.
func AppendStamped(b []byte, stream byte, text, stamp []byte) []byte {
	b = append(b, beforeText...)
	b, clean := appendText(b, text)
	b = append(b, beforeStream...)
	if stream == 2 {
		b = append(b, "stderr"...)
	} else {
		b = append(b, "stdout"...)
	}
	b = append(b, beforeTime...)
	b = append(b, stamp...)
	if !clean {
		b = append(b, beforeRaw...)
		b = base64.StdEncoding.AppendEncode(b, text)
	}
	return append(append(b, lineEnd...), '\n')
}

// Parse reads a line, with or without its newline, into e. It uses the memory
// of line for e. It returns false for what is no line of a log.
func Parse(line []byte, e *Entry) bool {
	return parseOwn(line, e) || parseAny(line, e)
}

// parseOwn reads a line that Append wrote. It changes nothing in line unless it
// returns true.
func parseOwn(line []byte, e *Entry) bool {
	line = bytes.TrimSuffix(line, []byte("\n"))
	rest, ok := bytes.CutPrefix(line, beforeText)
	if !ok {
		return false
	}
	// In a text a backslash stands before each quote, so this is found in none.
	end := bytes.Index(rest, beforeStream)
	if end < 0 {
		return false
	}
	text, rest := rest[:end], rest[end+len(beforeStream):]
	stream := byte(1)
	after, ok := bytes.CutPrefix(rest, []byte(`stdout","time":"`))
	if !ok {
		stream = 2
		after, ok = bytes.CutPrefix(rest, []byte(`stderr","time":"`))
	}
	if ok {
		rest, ok = bytes.CutSuffix(after, lineEnd)
	}
	if !ok {
		return false
	}
	*e = Entry{Stream: stream}
	stamp, raw, hasRaw := bytes.Cut(rest, beforeRaw)
	if len(stamp) == 0 || stamp[len(stamp)-1] != 'Z' || bytes.IndexByte(stamp, '"') >= 0 {
		return false
	}
	e.stamp = stamp
	if hasRaw {
		n, err := base64.StdEncoding.Decode(raw, raw)
		e.Text = raw[:n]
		return err == nil
	}
	e.Text, ok = unescape(text)
	return ok
}

// parseAny reads a line that somebody else wrote in the same format.
func parseAny(line []byte, e *Entry) bool {
	var l struct {
		Log    *string   `json:"log"`
		Stream string    `json:"stream"`
		Time   time.Time `json:"time"`
		Raw    []byte    `json:"raw"`
	}
	if json.Unmarshal(line, &l) != nil || l.Log == nil {
		return false
	}
	*e = Entry{Text: []byte(*l.Log), Stream: 1, parsed: l.Time}
	if l.Raw != nil {
		e.Text = l.Raw
	}
	if l.Stream == "stderr" {
		e.Stream = 2
	}
	return true
}

// simple are the bytes that stand for themselves in a text.
var simple = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '\\' && c != '"' && c != '<' && c != '>' && c != '&'
	}
	return t
}()

const hexDigits = "0123456789abcdef"

// appendText appends s as the inside of a JSON string, with the escapes that
// Docker chooses. It returns false if that does not tell what s was, because s
// is not UTF-8, or mostly no text: escapes would make six bytes of one.
func appendText(b, s []byte) (_ []byte, clean bool) {
	clean = true
	before := len(b)
	judged := false
	for i := 0; ; {
		start := i
		for i < len(s) && simple[s[i]] {
			i++
		}
		b = append(b, s[start:i]...)
		if i == len(s) {
			return b, clean
		}
		if !judged && !textual(s[i]) {
			if judged = true; mostlyBinary(s) {
				return appendBinary(b[:before], s), false
			}
		}
		if s[i] < utf8.RuneSelf {
			b = appendEscaped(b, s[i])
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, `\ufffd`...)
			clean = false
		case r == '\u2028' || r == '\u2029':
			b = append(append(b, `\u202`...), hexDigits[r&15])
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
}

// textual reports whether a byte can be of a text by itself.
func textual(c byte) bool {
	return c >= 0x20 && c < utf8.RuneSelf || c == '\n' || c == '\r' || c == '\t'
}

// leastBinary is how long a text is at least that may be taken for none: of a
// short one the escapes cost little.
const leastBinary = 256

// mostlyBinary reports whether more than half of s is no text: neither UTF-8
// nor anything that a terminal shows.
func mostlyBinary(s []byte) bool {
	if len(s) < leastBinary {
		return false
	}
	odd := 0
	for i := 0; i < len(s) && 2*odd <= len(s); {
		if textual(s[i]) {
			i++
			continue
		}
		n := 1
		if s[i] >= utf8.RuneSelf {
			_, n = utf8.DecodeRune(s[i:])
		}
		if n == 1 {
			odd++
		}
		i += n
	}
	return 2*odd > len(s)
}

// appendBinary appends what stands for s, and for its newline.
func appendBinary(b, s []byte) []byte {
	b = append(b, `\ufffd`...)
	if bytes.HasSuffix(s, []byte("\n")) {
		b = append(b, `\n`...)
	}
	return b
}

func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case '\\', '"':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// unescape undoes appendText in the memory of s. It returns false, and s as it
// was, if there is something in it that appendText does not write.
func unescape(s []byte) ([]byte, bool) {
	i := bytes.IndexByte(s, '\\')
	if i < 0 {
		return s, bytes.IndexByte(s, '"') < 0
	}
	if i == len(s)-2 && s[i+1] == 'n' && bytes.IndexByte(s[:i], '"') < 0 { // most lines
		s[i] = '\n'
		return s[:i+1], true
	}
	if !ours(s) {
		return s, false
	}
	out := s[:i]
	for rest := s[i:]; len(rest) > 0; {
		r, n := escaped(rest)
		out = utf8.AppendRune(out, r)
		rest = rest[n:]
		if i = bytes.IndexByte(rest, '\\'); i < 0 {
			i = len(rest)
		}
		out, rest = append(out, rest[:i]...), rest[i:]
	}
	return out, true
}

// ours reports whether s has only escapes that appendText makes, and no quote
// without one.
func ours(s []byte) bool {
	for len(s) > 0 {
		plain := bytes.IndexByte(s, '\\')
		if plain < 0 {
			plain = len(s)
		}
		if bytes.IndexByte(s[:plain], '"') >= 0 {
			return false
		}
		if s = s[plain:]; len(s) == 0 {
			break
		}
		_, n := escaped(s)
		if n == 0 {
			return false
		}
		s = s[n:]
	}
	return true
}

// escaped reads the escape that s begins with; n is 0 if it is none of ours.
func escaped(s []byte) (r rune, n int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '\\', '"':
		return rune(s[1]), 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 'u':
		if len(s) < 6 {
			return 0, 0
		}
		for _, c := range s[2:6] {
			d := bytes.IndexByte([]byte(hexDigits), c)
			if d < 0 {
				return 0, 0
			}
			r = r<<4 | rune(d)
		}
		if r >= 0xd800 && r < 0xe000 {
			return 0, 0 // half of a pair
		}
		return r, 6
	}
	return 0, 0
}
