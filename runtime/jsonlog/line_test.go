package jsonlog

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzLine checks that a line is JSON that says what Docker's would, and that its
// bytes come back as they were.
func FuzzLine(f *testing.F) {
	f.Add([]byte("a\x00\u2028<>\xff\"\\\n"), true)
	f.Add([]byte(`","stream":"stdout","time":"`), false)
	f.Add([]byte("\\n\\u0041\\"), false)
	f.Add([]byte("\xed\xa0\x80\ufffd\n"), false)
	f.Add(make([]byte, 400), false)
	f.Add([]byte(strings.Repeat("\xfe", 300)+"\n"), true)
	f.Add([]byte(strings.Repeat("\x01text", 100)+"\n"), true)
	f.Fuzz(func(t *testing.T, text []byte, stderr bool) {
		stream, name := byte(1), "stdout"
		if stderr {
			stream, name = 2, "stderr"
		}
		at := time.Unix(1, 5).UTC()
		line := Append(nil, stream, text, at)
		var l struct{ Log, Stream, Time string }
		if err := json.Unmarshal(line, &l); err != nil || bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Fatalf("%q: %v", line, err)
		}
		dockers, _ := json.Marshal(string(text)) // what is not UTF-8 becomes U+FFFD
		var want string
		_ = json.Unmarshal(dockers, &want)
		if mostlyBinary(text) {
			want = "\ufffd" + strings.Repeat("\n", bytes.Count(text[len(text)-1:], []byte("\n")))
		}
		if l.Log != want || l.Stream != name || l.Time != "1970-01-01T00:00:01.000000005Z" {
			t.Fatalf("%q became %q", text, line)
		}
		for who, parse := range map[string]func([]byte, *Entry) bool{"own": parseOwn, "any": parseAny} {
			var e Entry
			if !parse(bytes.Clone(line), &e) || !bytes.Equal(e.Text, text) || e.Stream != stream || !e.Time().Equal(at) {
				t.Fatalf("%s: %q came back as %q, %d, %s", who, text, e.Text, e.Stream, e.Time())
			}
		}
	})
}

// FuzzParse checks that the quick way to read a line agrees with encoding/json
// whenever it takes a line.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		`{"log":"a\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}`,
		`{"log":"\ud83d\ude00\b","stream":"stderr","time":"2026-01-02T03:04:05.1Z"}`,
		`{"log":"x","stream":"stdout","time":"2026-01-02T03:04:05Z","raw":"//8="}`,
		`{"log":"x","stream":"stdout","attrs":{"a":"b"},"time":"2026-01-02T03:04:05Z"}`,
		`{}`, `[1]`, `{"log":`, ``,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var quick, slow Entry
		if !parseOwn(bytes.Clone(line), &quick) {
			Parse(line, &quick) // must not panic
			return
		}
		if !parseAny(line, &slow) {
			return // damage that the quick way does not look for
		}
		if quick.Stream != slow.Stream || !bytes.Equal(quick.Text, slow.Text) && json.Valid(line) && !strings.Contains(string(line), `"raw"`) && !bytes.ContainsFunc(line, func(r rune) bool { return r == '\ufffd' }) {
			t.Errorf("%q: %q and %q", line, quick.Text, slow.Text)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	line := Append(nil, 1, []byte(strings.Repeat("a line of a log, as they are ", 4)+"\n"), time.Now().UTC())
	work := make([]byte, len(line))
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		copy(work, line)
		var e Entry
		if !Parse(work, &e) {
			b.Fatal("not read")
		}
	}
}

// TestBinaryCostsLittle holds that output which is no text takes less than twice
// its size, and that text stays readable for others whatever it is about.
func TestBinaryCostsLittle(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"zeros": strings.Repeat("\x00", 16<<10), "bytes": strings.Repeat("\x00\xff\xfe\x01z", 3000) + "\n",
	} {
		if line := Append(nil, 1, []byte(text), time.Now()); len(line) > 2*len(text) {
			t.Errorf("%s: %d bytes became %d", name, len(text), len(line))
		}
	}
	for name, text := range map[string]string{
		"colours": strings.Repeat("\x1b[31mred\x1b[0m ", 100) + "\n", "Chinese": strings.Repeat("日志", 300),
		"latin": strings.Repeat("caf\xe9 ", 100), "tabs": strings.Repeat("\t", 400),
	} {
		var l struct{ Log string }
		if err := json.Unmarshal(Append(nil, 1, []byte(text), time.Now()), &l); err != nil || len([]rune(l.Log)) != len([]rune(text)) {
			t.Errorf("%s: %q, %v", name, l.Log, err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, text := range map[string]string{
		"text": strings.Repeat("a line of a log, as they are ", 4) + "\n", "zeros": strings.Repeat("\x00", 16<<10),
	} {
		b.Run(name, func(b *testing.B) {
			stamp := AppendStamp(nil, time.Now().UTC())
			var line []byte
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				line = AppendStamped(line[:0], 1, []byte(text), stamp)
			}
		})
	}
}
