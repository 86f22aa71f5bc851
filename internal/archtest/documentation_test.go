package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	report(t, packageCommentViolations(loadModule(t)))
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	t.Parallel()
	report(t, undocumentedNames(loadModule(t)))
}

func TestNoUnfinishedWork(t *testing.T) {
	t.Parallel()
	report(t, unfinishedWork(loadModule(t)))
}

// packageCommentViolations finds packages without a comment in doc.go (or in main.go, for
// a program). Folders that hold only tests need none.
func packageCommentViolations(source tree) []string {
	commented := map[string]bool{}
	for _, file := range source.files {
		if file.test {
			continue
		}
		base := path.Base(file.name)
		says := file.syntax.Doc != nil && (base == "doc.go" || base == "main.go")
		commented[file.pkg] = commented[file.pkg] || says
	}
	var found []string
	for pkg, ok := range commented {
		if !ok {
			found = append(found, pkg+": no package comment in doc.go: say in a sentence what the package is for")
		}
	}
	return found
}

// selfExplaining are methods of the standard library's interfaces, whose meaning is given
// there.
var selfExplaining = []string{"Error", "Unwrap", "Is", "String", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "LogValue"}

func undocumentedNames(source tree) []string {
	var found []string
	for _, file := range source.files {
		if file.test || file.syntax.Name.Name == "main" {
			continue
		}
		for _, declaration := range file.syntax.Decls {
			for _, name := range undocumented(declaration) {
				found = append(found, fmt.Sprintf("%s: %s is exported and has no comment: say what it is, its units, its errors, who may call it when",
					source.at(name), name.Name))
			}
		}
	}
	return found
}

func undocumented(declaration ast.Decl) []*ast.Ident {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && receiverExported(d) && (d.Recv == nil || !slices.Contains(selfExplaining, d.Name.Name)) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		return undocumentedSpecs(d)
	}
	return nil
}

// undocumentedSpecs takes the comment of a group for the constants and variables in it.
func undocumentedSpecs(d *ast.GenDecl) []*ast.Ident {
	var found []*ast.Ident
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && (d.Doc == nil || d.Lparen != token.NoPos) {
				found = append(found, s.Name)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
					found = append(found, name)
				}
			}
		}
	}
	return found
}

// receiverExported is true for functions, and for methods of exported types.
func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	receiver := d.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	name, ok := receiver.(*ast.Ident)
	return ok && name.IsExported()
}

// marks are spelled apart so that this file does not hold them.
var marks = []string{"TO" + "DO", "FIX" + "ME", "XX" + "X:", "HA" + "CK:"}

func unfinishedWork(source tree) []string {
	var found []string
	for _, file := range source.files {
		for _, group := range file.syntax.Comments {
			for _, mark := range marks {
				if strings.Contains(group.Text(), mark) {
					found = append(found, fmt.Sprintf("%s: a comment says %s: finish it, or open an issue and say there what is missing", source.at(group), mark))
				}
			}
		}
	}
	return found
}

func TestDocumentationRulesCatchViolations(t *testing.T) {
	t.Parallel()
	bad := loadText(t, map[string]string{"zfs/z.go": `package zfs

type Pool struct{}
func (p *Pool) Close() {}
func (p *Pool) Error() string { return "" }
type hidden struct{}
func (h hidden) Close() {}
const Limit = 3
// All of these are documented.
const (
	A = 1
	B = 2
)
var (
	C = 1 // says what
)
// ` + marks[0] + `: the rest
`})
	if got := undocumentedNames(bad); len(got) != 3 {
		t.Errorf("%d undocumented names of 3 found: %v", len(got), got)
	}
	if got := packageCommentViolations(bad); len(got) != 1 {
		t.Errorf("%d missing package comments of 1 found: %v", len(got), got)
	}
	if got := unfinishedWork(bad); len(got) != 1 {
		t.Errorf("%d marks of unfinished work of 1 found: %v", len(got), got)
	}
}
