package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
)

func TestWriteReplacesContentAndMode(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	for _, step := range []struct {
		content string
		mode    fs.FileMode
	}{{"first", 0o600}, {"second, longer", 0o666}, {"3rd", 0o640}} {
		if err := atomicfile.Write(path, []byte(step.content), step.mode); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != step.content {
			t.Fatalf("content %q, error %v; want %q", got, err, step.content)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != step.mode {
			t.Fatalf("mode %v, error %v; want %v", info.Mode(), err, step.mode)
		}
	}
	assertOnly(t, filepath.Dir(path), "state")
}

func TestWriteGetsOverALeftoverOfAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".state.tmp"), []byte("half"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(filepath.Join(dir, "state"), []byte("whole"), 0o600); err != nil {
		t.Fatal(err)
	}
	assertOnly(t, dir, "state")
}

func TestFailedWriteLeavesTheOldFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "state")
	if err := os.Mkdir(target, 0o700); err != nil { // a rename over a directory fails
		t.Fatal(err)
	}
	if err := atomicfile.Write(target, []byte("x"), 0o600); err == nil {
		t.Fatal("a file replaced a directory")
	}
	assertOnly(t, dir, "state")
}

func TestJSONComesBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "record.json")
	want := map[string]int{"epoch": 7}
	if err := atomicfile.WriteJSON(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	var got map[string]int
	if err := atomicfile.ReadJSON(path, &got); err != nil || got["epoch"] != 7 {
		t.Fatalf("read %v, error %v; want %v", got, err, want)
	}
}

func TestReadJSONTellsMissingFromBroken(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "record.json")
	var v any
	if err := atomicfile.ReadJSON(path, &v); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("missing file: error %v, want fs.ErrNotExist", err)
	}
	if err := os.WriteFile(path, []byte(`{"epoch":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.ReadJSON(path, &v); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("broken file: error %v, want one about its content", err)
	}
}

// assertOnly fails the test unless the directory holds exactly the one name.
func assertOnly(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != name {
		t.Fatalf("directory holds %v, want only %q", entries, name)
	}
}
