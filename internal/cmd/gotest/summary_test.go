package main

import (
	"slices"
	"strings"
	"testing"
)

const events = `{"Action":"run","Package":"github.com/spearheadcloud/spearhead/a","Test":"TestGood"}
{"Action":"output","Package":"github.com/spearheadcloud/spearhead/a","Test":"TestGood","Output":"chatter\n"}
{"Action":"pass","Package":"github.com/spearheadcloud/spearhead/a","Test":"TestGood"}
{"Action":"output","Package":"github.com/spearheadcloud/spearhead/a","Test":"TestSkip","Output":"    a_test.go:3: needs root: mounts\n"}
{"Action":"skip","Package":"github.com/spearheadcloud/spearhead/a","Test":"TestSkip"}
{"Action":"pass","Package":"github.com/spearheadcloud/spearhead/a","Elapsed":1.5}
{"Action":"output","Package":"github.com/spearheadcloud/spearhead/b","Test":"TestBad","Output":"    b_test.go:9: got 1, want 2\n"}
{"Action":"fail","Package":"github.com/spearheadcloud/spearhead/b","Test":"TestBad"}
{"Action":"fail","Package":"github.com/spearheadcloud/spearhead/b"}
{"Action":"build-output","ImportPath":"c [c.test]","Output":"c.go:1: undefined: x\n"}
{"Action":"fail","Package":"github.com/spearheadcloud/spearhead/c","FailedBuild":"c [c.test]"}
{"Action":"output","Package":"github.com/spearheadcloud/spearhead/d","Test":"TestHangs","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"github.com/spearheadcloud/spearhead/d"}
`

func TestSummaryTellsWhatMatters(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := newSummary(&out)
	if err := s.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	s.close()
	text := out.String()
	for _, want := range []string{
		"ok     a (1.5 s)", "a TestSkip: needs root: mounts", "FAILED b TestBad", "got 1, want 2",
		"undefined: x", "unfinished TestHangs", "panic: test timed out", "\n1 passed, 3 failed, 1 skipped\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the summary lacks %q", want)
		}
	}
	if strings.Contains(text, "chatter") {
		t.Error("the summary holds the output of a test that passed")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestArgumentsAreCutAtDoubleDashes(t *testing.T) {
	t.Parallel()
	got := split([]string{"-race", "./a", "--", "--", "./b"})
	if len(got) != 2 || !slices.Equal(got[0], []string{"-race", "./a"}) || !slices.Equal(got[1], []string{"./b"}) {
		t.Fatalf("parts %q", got)
	}
}

func TestAPartBeginsWithItsSettings(t *testing.T) {
	t.Parallel()
	settings, rest := settingsOf([]string{"CGO_ENABLED=0", "A=b", "-run=X", "./a=b"})
	if !slices.Equal(settings, []string{"CGO_ENABLED=0", "A=b"}) || !slices.Equal(rest, []string{"-run=X", "./a=b"}) {
		t.Errorf("settings %q and %q", settings, rest)
	}
	if settings, rest := settingsOf([]string{"-race"}); len(settings) != 0 || len(rest) != 1 {
		t.Errorf("settings %q and %q", settings, rest)
	}
}
