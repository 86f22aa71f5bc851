package archtest

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

// What is longer than this holds more than one idea.
const (
	fileLines     = 700
	functionLines = 100
)

func TestFilesAndFunctionsStayShort(t *testing.T) {
	t.Parallel()
	report(t, sizeViolations(loadModule(t)))
}

func sizeViolations(source tree) []string {
	var found []string
	for _, file := range source.files {
		if file.lines >= fileLines {
			found = append(found, fmt.Sprintf("%s has %d lines, under %d are allowed: split it by ideas", file.name, file.lines, fileLines))
		}
		for _, declaration := range file.syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := source.fset.Position(function.End()).Line - source.fset.Position(function.Pos()).Line + 1
			if lines >= functionLines {
				found = append(found, fmt.Sprintf("%s: %s has %d lines, under %d are allowed: name its steps",
					source.at(function), function.Name.Name, lines, functionLines))
			}
		}
	}
	return found
}

func TestSizeRulesCatchViolations(t *testing.T) {
	t.Parallel()
	long := loadText(t, map[string]string{"zfs/z.go": "package zfs\nfunc f() {\n" + strings.Repeat("\n", 800) + "}\n"})
	if got := sizeViolations(long); len(got) != 2 {
		t.Errorf("%d violations of 2 found: %v", len(got), got)
	}
}
