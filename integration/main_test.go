package integration

import (
	"os"
	"testing"

	"github.com/spearheadcloud/spearhead/integration/bed"
)

// setting is filled by TestMain before any test runs, and only read after.
var setting bed.Setting

func TestMain(m *testing.M) {
	os.Exit(setting.Main(m))
}

// sharedBed is the rack that tests share, or a skip that says what this machine lacks.
func sharedBed(t *testing.T) *bed.Bed {
	t.Helper()
	return setting.Shared(t)
}
