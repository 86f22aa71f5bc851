// Command gotest runs go test and tells only what a person needs to know: the output of
// what failed, why tests were skipped, and a closing line with the counts.
//
//	gotest [NAME=value]... [go test's arguments] [-- more of both]...
//
// Each part between "--" is one run of go test, in order, with the settings that it begins
// with added to its environment; the counts are of all of them. The
// exit code is 0 if every test passed or was skipped. The go command is $GO, or scripts/go.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	summary := newSummary(os.Stdout)
	ok := true
	for _, arguments := range split(os.Args[1:]) {
		before := summary.failed
		if err := run(arguments, summary); err != nil && summary.failed == before {
			fmt.Fprintf(os.Stderr, "go test: %v\n", err)
			ok = false
		}
	}
	summary.close()
	if !ok || summary.failed > 0 {
		os.Exit(1)
	}
}

// split cuts the arguments at each "--". Parts that name no run are left out.
func split(arguments []string) [][]string {
	var parts [][]string
	for {
		i := slices.Index(arguments, "--")
		if i < 0 {
			break
		}
		parts = append(parts, arguments[:i])
		arguments = arguments[i+1:]
	}
	return slices.DeleteFunc(append(parts, arguments), func(part []string) bool { return len(part) == 0 })
}

// settingsOf cuts what a part begins with for its environment.
func settingsOf(arguments []string) (settings, rest []string) {
	at := slices.IndexFunc(arguments, func(a string) bool { return strings.HasPrefix(a, "-") || !strings.Contains(a, "=") })
	if at < 0 {
		at = len(arguments)
	}
	return arguments[:at], arguments[at:]
}

func run(arguments []string, summary *summary) error {
	command := os.Getenv("GO")
	if command == "" {
		command = "scripts/go"
	}
	settings, arguments := settingsOf(arguments)
	test := exec.Command(command, append([]string{"test", "-json"}, arguments...)...)
	test.Env = append(os.Environ(), settings...)
	test.Stderr = os.Stderr
	output, err := test.StdoutPipe()
	if err != nil {
		return err
	}
	if err := test.Start(); err != nil {
		return err
	}
	readErr := summary.read(output)
	_, _ = io.Copy(io.Discard, output)
	if err := test.Wait(); err != nil {
		return err
	}
	return readErr
}
