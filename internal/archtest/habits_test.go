package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// purePackages decide from their arguments alone.
var purePackages = []string{
	"model", "headnode/policy", "headnode/placement", "network/ipam", "runtime/ocispec", "raftstore/state", "raftstore/command",
	"headnode/imageconfig", "internal/logopt",
}

// impureLibraries reach the machine or chance. model makes ids, so it alone may draw them.
var impureLibraries = []string{
	"os", "os/exec", "os/signal", "os/user", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "io/ioutil", "syscall",
}

// clockReaders are functions of package time that ask or wait for the clock.
var clockReaders = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// networkCalls are functions of package net that reach the network; its types are plain.
var networkCalls = []string{
	"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialUnix", "DialIP", "Listen", "ListenPacket", "ListenTCP", "ListenUDP",
	"LookupHost", "LookupIP", "LookupAddr", "LookupPort", "ResolveIPAddr", "ResolveTCPAddr", "ResolveUDPAddr", "Interfaces", "InterfaceAddrs",
}

func TestPurePackagesTouchNothing(t *testing.T) {
	t.Parallel()
	report(t, impurities(loadModule(t)))
}

func TestHabits(t *testing.T) {
	t.Parallel()
	report(t, badHabits(loadModule(t)))
}

func TestAPIVersionsAreComparedInCompatOnly(t *testing.T) {
	t.Parallel()
	report(t, versionComparisons(loadModule(t)))
}

func impurities(source tree) []string {
	var found []string
	for _, file := range source.files {
		if file.test || !slices.ContainsFunc(purePackages, func(folder string) bool { return within(file.pkg, folder) }) {
			continue
		}
		for _, imported := range file.imports() {
			if slices.Contains(impureLibraries, imported) && (imported != "crypto/rand" || file.pkg != "model") {
				found = append(found, fmt.Sprintf("%s imports %s: %s", file.name, imported, pureReason))
			}
		}
		for _, call := range selections(file, "net", networkCalls) {
			found = append(found, fmt.Sprintf("%s: net.%s: %s", source.at(call), call.Sel.Name, pureReason))
		}
		for _, call := range selections(file, "time", clockReaders) {
			found = append(found, fmt.Sprintf("%s: time.%s: %s: the caller gives the time", source.at(call), call.Sel.Name, pureReason))
		}
	}
	return found
}

// badHabits finds what we never do in the program, wherever it is.
func badHabits(source tree) []string {
	var found []string
	for _, file := range source.files {
		if file.test {
			continue
		}
		for _, declaration := range file.syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if ok && function.Recv == nil && function.Name.Name == "init" {
				found = append(found, source.at(function)+": init: work that nobody called for happens in every program and test; call it where it is needed")
			}
		}
		for _, call := range selections(file, "time", []string{"Sleep"}) {
			found = append(found, source.at(call)+": time.Sleep: wait for the event, with a context; poll by a ticker only where the kernel gives no event")
		}
		for _, call := range selections(file, "context", []string{"TO" + "DO"}) {
			found = append(found, source.at(call)+": an undecided context: take the caller's")
		}
	}
	return found
}

// selections finds uses of pkg.name in a file that imports pkg by its own name.
func selections(file source, pkg string, names []string) []*ast.SelectorExpr {
	if !slices.Contains(file.imports(), pkg) {
		return nil
	}
	var found []*ast.SelectorExpr
	ast.Inspect(file.syntax, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if on, ok := selector.X.(*ast.Ident); ok && on.Name == pkg && slices.Contains(names, selector.Sel.Name) {
			found = append(found, selector)
		}
		return true
	})
	return found
}

// versionComparisons finds an ordering between things called apiVersion, outside of the
// table of differences.
func versionComparisons(source tree) []string {
	const where = "headnode/dockerapi/compat"
	orderings := []token.Token{token.LSS, token.LEQ, token.GTR, token.GEQ}
	var found []string
	for _, file := range source.files {
		if file.test || within(file.pkg, where) {
			continue
		}
		ast.Inspect(file.syntax, func(node ast.Node) bool {
			var compared []ast.Expr
			switch n := node.(type) {
			case *ast.BinaryExpr:
				if slices.Contains(orderings, n.Op) {
					compared = []ast.Expr{n.X, n.Y}
				}
			case *ast.CallExpr:
				if name := lastName(n.Fun); strings.HasPrefix(name, "LessThan") || strings.HasPrefix(name, "GreaterThan") {
					compared = n.Args
				}
			}
			for _, side := range compared {
				if strings.Contains(strings.ToLower(lastName(side)), "apiversion") {
					found = append(found, source.at(node)+": compares API versions: handlers speak the newest API; differences are rows of the table in "+where)
					break
				}
			}
			return true
		})
	}
	return found
}

// lastName is the rightmost name of x, a.x or x().
func lastName(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.CallExpr:
		return lastName(e.Fun)
	}
	return ""
}

func TestHabitRulesCatchViolations(t *testing.T) {
	t.Parallel()
	bad := loadText(t, map[string]string{
		"headnode/placement/p.go": `package placement
import ("net"; "time"; "math/rand")
var a, b = time.Now(), rand.Int()
var c, d = net.Dial("tcp", "h:1")
var e net.HardwareAddr
`,
		"headnode/h.go": `package headnode
import ("time"; "context")
func init() { time.Sleep(1); _ = context.` + "TO" + `DO() }
func old(r request) bool { return r.APIVersion() < 41 || versions.LessThan(r.apiVersion, "1.41") }
`,
		"headnode/dockerapi/compat/c.go": `package compat
func old(apiVersion int) bool { return apiVersion < 41 }
`,
	})
	if got := impurities(bad); len(got) != 3 {
		t.Errorf("%d impurities of 3 found: %v", len(got), got)
	}
	if got := badHabits(bad); len(got) != 3 {
		t.Errorf("%d bad habits of 3 found: %v", len(got), got)
	}
	if got := versionComparisons(bad); len(got) != 2 {
		t.Errorf("%d version comparisons of 2 found: %v", len(got), got)
	}
}
