package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is a line of go test -json (see go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build output
	Test        string
	Output      string
	Elapsed     float64 // seconds
	FailedBuild string
}

// summary follows the events of test runs and prints what matters of them.
type summary struct {
	out                     io.Writer
	output                  map[string][]string // what each test or package has said so far
	failedTests             map[string]bool     // packages with a failed test
	skips                   []string
	passed, failed, skipped int
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, output: map[string][]string{}, failedTests: map[string]bool{}}
}

// read follows one run to its end.
func (s *summary) read(lines io.Reader) error {
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var e event
		if json.Unmarshal(scanner.Bytes(), &e) != nil {
			fmt.Fprintln(s.out, scanner.Text())
			continue
		}
		s.follow(e)
	}
	return scanner.Err()
}

func (s *summary) follow(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		s.output[key] = append(s.output[key], e.Output)
	case "build-output":
		s.output["build "+e.ImportPath] = append(s.output["build "+e.ImportPath], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.packageEnd(e, key)
		} else {
			s.testEnd(e, key)
		}
		delete(s.output, key)
	}
}

func (s *summary) testEnd(e event, key string) {
	switch e.Action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped++
		s.skips = append(s.skips, fmt.Sprintf("%s %s: %s", short(e.Package), e.Test, reason(s.output[key])))
	case "fail":
		s.failed++
		s.failedTests[e.Package] = true
		fmt.Fprintf(s.out, "FAILED %s %s\n%s", short(e.Package), e.Test, indented(s.output[key]))
	}
}

// packageEnd prints a line for each package with tests. A package that failed without a
// failed test did not build, or ended early; that counts as one failure.
func (s *summary) packageEnd(e event, key string) {
	switch {
	case e.Action == "pass":
		fmt.Fprintf(s.out, "ok     %s (%.1f s)\n", short(e.Package), e.Elapsed)
	case e.Action == "fail":
		if !s.failedTests[e.Package] {
			s.failed++
			said := slices.Concat(s.output["build "+e.FailedBuild], s.output[key])
			fmt.Fprintf(s.out, "FAILED %s\n%s", short(e.Package), indented(said))
			s.unfinished(e.Package)
		}
		fmt.Fprintf(s.out, "failed %s (%.1f s)\n", short(e.Package), e.Elapsed)
	}
}

// unfinished prints what the tests said that were running when their package died.
func (s *summary) unfinished(pkg string) {
	for key, said := range s.output {
		if test, ok := strings.CutPrefix(key, pkg+" "); ok && test != "" {
			fmt.Fprintf(s.out, "  unfinished %s\n%s", test, indented(said))
		}
	}
}

// close prints what was skipped and why, and the counts.
func (s *summary) close() {
	if len(s.skips) > 0 {
		fmt.Fprintln(s.out, "\nskipped:")
		for _, skip := range s.skips {
			fmt.Fprintln(s.out, "  "+skip)
		}
	}
	fmt.Fprintf(s.out, "\n%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
}

const module = "github.com/spearheadcloud/spearhead/"

func short(pkg string) string { return strings.TrimPrefix(pkg, module) }

// reason is what a test said when it was skipped, without the place.
func reason(said []string) string {
	for _, line := range said {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "===") || strings.HasPrefix(line, "---") {
			continue
		}
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			if _, text, ok = strings.Cut(text, ": "); ok {
				return text
			}
		}
		return line
	}
	return "no reason given"
}

// indented leaves out the lines that only tell that a test runs.
func indented(said []string) string {
	var kept strings.Builder
	for _, line := range said {
		if !strings.HasPrefix(line, "=== ") {
			kept.WriteString("    " + strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	return kept.String()
}
