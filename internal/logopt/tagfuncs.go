package logopt

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"unicode"
)

// builtins are the functions of text/template that cannot make a value longer.
var builtins = map[string]bool{
	"and": true, "or": true, "not": true, "len": true, "index": true, "slice": true,
	"eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
}

func allowedFunction(name string) bool {
	_, ours := tagFunctions()[name]
	return ours || builtins[name]
}

// tagFunctions are Docker's functions for templates, and the template
// language's own print and printf, all of which refuse to make a long value.
func tagFunctions() template.FuncMap {
	return template.FuncMap{
		"json":     tagJSON,
		"split":    tagSplit,
		"join":     tagJoin,
		"title":    func(s string) (string, error) { return limit(title(s)) },
		"lower":    func(s string) (string, error) { return limit(strings.ToLower(s)) },
		"upper":    func(s string) (string, error) { return limit(strings.ToUpper(s)) },
		"pad":      tagPad,
		"truncate": tagTruncate,
		"print":    func(args ...any) (string, error) { return limit(fmt.Sprint(args...)) },
		"printf":   tagPrintf,
	}
}

func limit(s string) (string, error) {
	if len(s) > maxValue {
		return "", errTooLong
	}
	return s, nil
}

func tagJSON(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return limit(strings.TrimSpace(b.String()))
}

func tagSplit(s, separator string) ([]string, error) {
	if len(s) > maxValue {
		return nil, errTooLong
	}
	return strings.Split(s, separator), nil
}

func tagJoin(parts []string, separator string) (string, error) {
	n := len(separator) * len(parts)
	for _, p := range parts {
		n += len(p)
	}
	if n > maxValue {
		return "", errTooLong
	}
	return strings.Join(parts, separator), nil
}

// title makes the first letter of each word a capital.
func title(s string) string {
	before := ' '
	return strings.Map(func(r rune) rune {
		inWord := unicode.IsLetter(before) || unicode.IsDigit(before) || before == '_' || before == '\''
		before = r
		if inWord {
			return r
		}
		return unicode.ToTitle(r)
	}, s)
}

func tagPad(s string, before, after int) (string, error) {
	if s == "" {
		return s, nil
	}
	if before < 0 || after < 0 || before > maxValue || after > maxValue {
		return "", errTooLong
	}
	return limit(strings.Repeat(" ", before) + s + strings.Repeat(" ", after))
}

func tagTruncate(s string, n int) (string, error) {
	if n < 0 {
		return "", fmt.Errorf("cannot truncate to %d bytes", n)
	}
	return s[:min(len(s), n)], nil
}

// wide matches what makes a number or a text longer than it is.
var wide = regexp.MustCompile(`\*|[0-9]{4}`)

func tagPrintf(format string, args ...any) (string, error) {
	if wide.MatchString(format) {
		return "", errTooLong
	}
	return limit(fmt.Sprintf(format, args...))
}
