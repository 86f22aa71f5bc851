package model_test

import (
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

func TestVersionsOfHeads(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]struct {
		release string
		level   int
	}{
		model.HeadVersion("1.2.3", 4):         {"1.2.3", 4},
		model.HeadVersion("1.2.3+gabcdef", 0): {"1.2.3+gabcdef", 0},
		"devel":                               {"devel", 0},
		"1.2.3+log.":                          {"1.2.3+log.", 0},
		"1.2.3+log.-1":                        {"1.2.3+log.-1", 0},
		"1.2.3+log.x":                         {"1.2.3+log.x", 0},
		"":                                    {"", 0},
	} {
		h := model.Head{Version: version}
		if h.Release() != want.release || h.LogLevel() != want.level {
			t.Errorf("%q is release %q and level %d", version, h.Release(), h.LogLevel())
		}
	}
}
