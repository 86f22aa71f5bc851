package images

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// holds fails the test for each file below a folder that has one of the secrets in it.
func holds(t *testing.T, folder string, secrets []string) {
	t.Helper()
	looked := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		looked++
		for _, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds a secret of a user", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked == 0 {
		t.Errorf("there is nothing in %s", folder)
	}
}
