package dockerapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
)

var update = flag.Bool("update", false, "write the golden files and docs/users/docker-api.md anew")

// section is one request and its answer, one line a value; no line is there twice.
type section struct {
	title string
	lines []string
}

// allVersions are those that the server speaks, oldest first.
func allVersions() []compat.Version {
	var all []compat.Version
	for minor := compat.Oldest.Minor; minor <= compat.Newest.Minor; minor++ {
		all = append(all, compat.V(minor))
	}
	return all
}

// checkGolden compares what each version gets with testdata/golden/NAME.txt.
// The file has the oldest version's sections whole, and then, for each version
// that differs from the one before, the lines that go (-) and that come (+).
func checkGolden(t *testing.T, name string, sectionsOf func(compat.Version) []section) {
	t.Helper()
	var got bytes.Buffer
	var before []section
	for _, v := range allVersions() {
		now := sectionsOf(v)
		writeEdge(&got, v, before, now)
		before = now
	}
	file := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("%s is not what clients see; if the change is meant, run with -update and read what it changed:\n%s", file, diff)
	}
}

// writeEdge writes what is otherwise with a version than with the one before:
// all of it for the oldest.
func writeEdge(out *bytes.Buffer, v compat.Version, before, now []section) {
	if before == nil {
		fmt.Fprintf(out, "API %s\n", v)
		for _, s := range now {
			fmt.Fprintf(out, "\n%s\n", s.title)
			for _, line := range s.lines {
				fmt.Fprintf(out, "  %s\n", line)
			}
		}
		return
	}
	headed := false
	for i, s := range now {
		old := before[i].lines
		if slices.Equal(old, s.lines) {
			continue
		}
		if !headed {
			fmt.Fprintf(out, "\nAPI %s\n", v)
			headed = true
		}
		fmt.Fprintf(out, "\n%s\n", s.title)
		for _, line := range old {
			if !slices.Contains(s.lines, line) {
				fmt.Fprintf(out, "- %s\n", line)
			}
		}
		for _, line := range s.lines {
			if !slices.Contains(old, line) {
				fmt.Fprintf(out, "+ %s\n", line)
			}
		}
	}
}

// answerLines is a body, one line a value: JSON as path = value, the second
// and later documents with their number in front, and other text as it is.
func answerLines(body []byte) []string {
	var lines []string
	decoder := json.NewDecoder(bytes.NewReader(bytes.ReplaceAll(body, []byte{0x1e}, nil)))
	decoder.UseNumber()
	for n := 0; decoder.More(); n++ {
		var value any
		if err := decoder.Decode(&value); err != nil {
			return []string{strconv.Quote(string(body))}
		}
		at := ""
		if n > 0 {
			at = fmt.Sprintf("#%d", n)
		}
		lines = flatten(lines, at, value)
	}
	return lines
}

// goVersion is a value that another Go changes.
var goVersion = regexp.MustCompile(`"go1\.[0-9][^"]*"`)

// flatten appends a line for each value that holds no other.
func flatten(lines []string, at string, value any) []string {
	switch value := value.(type) {
	case map[string]any:
		if len(value) > 0 {
			for _, key := range sortedKeys(value) {
				lines = flatten(lines, at+member(key), value[key])
			}
			return lines
		}
	case []any:
		if len(value) > 0 {
			for i, element := range value {
				lines = flatten(lines, fmt.Sprintf("%s[%d]", at, i), element)
			}
			return lines
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		text = []byte(err.Error())
	}
	return append(lines, at+" = "+goVersion.ReplaceAllString(string(text), `"go"`))
}

func member(key string) string {
	if strings.ContainsAny(key, "./ []") {
		return "[" + strconv.Quote(key) + "]"
	}
	return "." + key
}
