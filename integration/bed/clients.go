package bed

import (
	"os"
	"path/filepath"
	"testing"
)

// Installed is the newest file that matches the pattern of those that scripts/clients puts
// beside the packages of this machine, or a skip.
func Installed(t *testing.T, pattern string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("needs a home: ", err)
	}
	found, err := filepath.Glob(filepath.Join(cache, "spearhead", "clients", pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skipf("needs %s: install it with scripts/clients", pattern)
	}
	return found[len(found)-1]
}
