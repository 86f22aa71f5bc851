package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// module is the import path of the repository's root.
const module = "github.com/spearheadcloud/spearhead"

// source is one parsed Go file.
type source struct {
	name   string // slash-separated, from the root of the module
	pkg    string // its folder: "model", "headnode/policy"
	test   bool   // a _test.go file
	lines  int
	syntax *ast.File
}

// tree is all the Go source of the module.
type tree struct {
	fset  *token.FileSet
	files []source
}

// loadModule reads the repository that this test stands in.
func loadModule(t *testing.T) tree {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for !exists(filepath.Join(root, "go.mod")) {
		if root == filepath.Dir(root) {
			t.Fatal("no go.mod above the working directory")
		}
		root = filepath.Dir(root)
	}
	return load(t, os.DirFS(root))
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// loadText makes a tree of file names and their content.
func loadText(t *testing.T, files map[string]string) tree {
	t.Helper()
	memory := fstest.MapFS{}
	for name, text := range files {
		memory[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return load(t, memory)
}

func load(t *testing.T, root fs.FS) tree {
	t.Helper()
	loaded := tree{fset: token.NewFileSet()}
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipFolder(root, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		file, err := parse(loaded.fset, root, name)
		if err == nil {
			loaded.files = append(loaded.files, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// skipFolder leaves out hidden folders, test data and nested modules.
func skipFolder(root fs.FS, name string) error {
	base := path.Base(name)
	if name == "." {
		return nil
	}
	if strings.HasPrefix(base, ".") || base == "testdata" || base == "bin" {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func parse(fset *token.FileSet, root fs.FS, name string) (source, error) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return source{}, err
	}
	syntax, err := parser.ParseFile(fset, name, text, parser.ParseComments)
	if err != nil {
		return source{}, fmt.Errorf("cannot parse %s: %w", name, err)
	}
	return source{
		name:   name,
		pkg:    path.Dir(name),
		test:   strings.HasSuffix(name, "_test.go"),
		lines:  strings.Count(string(text), "\n"),
		syntax: syntax,
	}, nil
}

// at is the place of a node, for messages.
func (t tree) at(node ast.Node) string {
	position := t.fset.Position(node.Pos())
	return fmt.Sprintf("%s:%d", position.Filename, position.Line)
}

// imports are the import paths of a file.
func (s source) imports() []string {
	var paths []string
	for _, spec := range s.syntax.Imports {
		if value, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, value)
		}
	}
	return paths
}

// within reports whether folder is root or below it.
func within(folder, root string) bool {
	return folder == root || strings.HasPrefix(folder, root+"/")
}

// report fails the test with each violation.
func report(t *testing.T, violations []string) {
	t.Helper()
	for _, violation := range violations {
		t.Error(violation)
	}
}
