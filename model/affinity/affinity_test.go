package affinity

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spearheadcloud/spearhead/model"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rule{
		"container==db":      {Key: "container", Value: "db"},
		"container!=db":      {Key: "container", Value: "db", Not: true},
		"instance==~db1":     {Key: "container", Value: "db1", Soft: true},
		"inst!=~/^db[0-9]$/": {Key: "container", Value: "/^db[0-9]$/", Not: true, Soft: true},
		"role==web tier":     {Key: "role", Value: "web tier"},
		"com.example_a-b!=*": {Key: "com.example_a-b", Value: "*", Not: true},
		"_x==1":              {Key: "_x", Value: "1"},
		"rack!=r1":           {Key: "rack", Value: "r1", Not: true},
	} {
		want.Text = text
		got, err := Parse(text)
		got.pattern = nil
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, why := range map[string]string{
		"":                                  "no operator",
		"container=db":                      "no operator",
		"container":                         "no operator",
		"x==y":                              "the key",
		"1role==web":                        "the key",
		"a b==web":                          "the key",
		"==web":                             "the key",
		"role==":                            "the value",
		"role==~":                           "the value",
		"role==~~x":                         "the value",
		"role==a,b":                         "the value",
		"role==é":                           "the value",
		"role==/(/":                         "regular expression",
		"a!=b==c":                           "the key", // == is looked for first
		"role==" + strings.Repeat("x", 600): "longer than",
	} {
		_, err := Parse(text)
		if !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), why) {
			t.Errorf("%q: %v, want it refused for %q", text, err, why)
		}
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	env := []string{"A=1", "affinity:app!=web", "B=2", "affinity:rack==~r1"}
	labels := map[string]string{"app": "web", Label: `["container==db"]`}
	rules, rest, marked, err := Take(env, labels)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"container==db", "app!=web", "rack==~r1"}, rules); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"A=1", "B=2"}, rest); diff != "" {
		t.Error(diff)
	}
	want := map[string]string{"app": "web", Label: `["container==db","app!=web","rack==~r1"]`}
	if diff := cmp.Diff(want, marked); diff != "" {
		t.Error(diff)
	}
	if labels[Label] != `["container==db"]` || len(env) != 4 {
		t.Error("what was asked has changed")
	}
	if _, rest, marked, err := Take([]string{"A=1"}, nil); err != nil || len(rest) != 1 || marked != nil {
		t.Errorf("without rules: %v %v %v", rest, marked, err)
	}
	if _, _, marked, err := Take([]string{"affinity:app!=web"}, nil); err != nil || marked[Label] != `["app!=web"]` {
		t.Errorf("without labels: %v %v", marked, err)
	}
	for _, bad := range []string{`{"a":1}`, `[1]`, `app!=web`, `["app=web"]`} {
		if _, _, _, err := Take(nil, map[string]string{Label: bad}); !model.IsKind(err, model.KindInvalid) {
			t.Errorf("label %s: %v", bad, err)
		}
	}
	many, err := json.Marshal(slices.Repeat([]string{"app!=web"}, MaxRules+1))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Take(nil, map[string]string{Label: string(many)}); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("too many rules: %v", err)
	}
}

func container(n int, name, node string, labels ...string) *model.Container {
	c := &model.Container{ID: fmt.Sprintf("%062xff", n), Name: name, NodeID: node, Spec: model.ContainerSpec{Labels: map[string]string{}}}
	for _, l := range labels {
		k, v, _ := strings.Cut(l, "=")
		c.Spec.Labels[k] = v
	}
	return c
}

// keeps lists the nodes that keep a rule.
func keeps(t *testing.T, text string, nodes []Place, containers []*model.Container) (string, error) {
	t.Helper()
	rule, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	demands, err := Resolve([]Rule{rule}, containers)
	if err != nil {
		return "", err
	}
	var kept []string
	for _, n := range nodes {
		if demands[0].Keeps(n) {
			kept = append(kept, n.ID)
		}
	}
	return strings.Join(kept, " "), nil
}

func TestWhatRulesMean(t *testing.T) {
	t.Parallel()
	nodes := []Place{{ID: "n1", Name: "alpha", Rack: "r1", Zone: "east"}, {ID: "n2", Name: "beta", Rack: "r2", Zone: "east"}, {ID: "n3", Name: "gamma"}}
	dead := container(8, "dead", "n3", "app=web")
	dead.State.Status = model.StatusDead
	leaving := container(9, "leaving", "n3", "app=web")
	leaving.Phase = model.PhaseRemoving
	all := []*model.Container{
		container(1, "web1", "n1", "app=web"), container(2, "web2", "n2", "app=web"), container(3, "db", "n2", "app=db", "tier=back"),
		dead, leaving,
	}
	twins := []*model.Container{container(0x10, "a", "n1"), container(0x11, "b", "n1")}
	// A name beats the beginning of another's id.
	twins[1].Name = twins[0].ID[:60]
	for text, want := range map[string]string{
		"container==db":                "n2",
		"container!=db":                "n1 n3",
		"container==" + all[0].ID:      "n1",
		"container==" + all[2].ID[:62]: "n2",
		"container==web1":              "n1",
		"container==~web*":             "n1 n2",
		"container!=web*":              "n3",
		"container==/^web1$/":          "n1",
		"container!=/b/":               "n3", // anywhere in the name
		"container!=none*":             "n1 n2 n3",
		"app!=web":                     "n3",
		"app==~web":                    "n1 n2",
		"app==db":                      "n2",
		"app!=*":                       "n3",
		"app==~nothing":                "",
		"tier==back":                   "n2",
		"tier!=front":                  "n1 n2 n3",
		"node==alpha":                  "n1",
		"node==n2":                     "n2",
		"node!=*a*a*":                  "n2",
		"rack==r1":                     "n1",
		"rack!=r1":                     "n2 n3",
		"zone==~east":                  "n1 n2",
		"zone==*":                      "n1 n2",
		"container!=dead":              "n1 n2 n3",
	} {
		if got, err := keeps(t, text, nodes, all); err != nil || got != want {
			t.Errorf("%s is kept by %q, %v; want %q", text, got, err, want)
		}
	}
	if got, err := keeps(t, "container=="+twins[0].ID[:60], nodes, twins); err != nil || got != "n1" {
		t.Errorf("a name that begins another's id: %q, %v", got, err)
	}
	for text, why := range map[string]string{
		"container==none*": `no active containers found matching "none*" for affinity "container==none*"`,
		"role==x":          `no active containers found matching "x" for affinity "role==x"`,
		"app==web":         `the containers matching "web" for affinity "app==web" are on 2 nodes`,
		"container==dead":  "no active containers",
	} {
		if _, err := keeps(t, text, nodes, all); !model.IsKind(err, model.KindExhausted) || !strings.Contains(model.UserText(err), why) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := keeps(t, "container=="+strings.Repeat("0", 60), nodes, all); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("the beginning of several ids: %v", err)
	}
}

// A pattern means the same as the regular expression that it stands for.
func TestPatternsAreExpressions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ab.*]{1,6}`).Draw(t, "text")
		pattern := rapid.StringMatching(`[ab.]{0,3}(\*[ab.]{0,2}){1,3}`).Draw(t, "pattern")
		r, err := Parse("key==" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := r.matches(text), glob(pattern, text); got != want {
			t.Fatalf("%q matches %q: %v, want %v", pattern, text, got, want)
		}
	})
}

// glob matches the slow way.
func glob(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	if pattern[0] == '*' {
		return glob(pattern[1:], text) || text != "" && glob(pattern, text[1:])
	}
	return text != "" && text[0] == pattern[0] && glob(pattern[1:], text[1:])
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"container==db", "app!=~/^w.b$/", "rack==r*", "==", "a!==b", "x==/[/", "k==\\"} {
		f.Add(seed)
	}
	beside := []*model.Container{container(1, "web1", "n1", "app=web"), container(2, "db", "n2", "app=db")}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil {
			if !model.IsKind(err, model.KindInvalid) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		// What was understood is understood again, written out anew.
		op := "=="
		if r.Not {
			op = "!="
		}
		if r.Soft {
			op += "~"
		}
		again, err := Parse(r.Key + op + r.Value)
		if err != nil || again.Key != r.Key || again.Value != r.Value || again.Not != r.Not || again.Soft != r.Soft {
			t.Fatalf("%q was read as %+v, which is read as %+v, %v", text, r, again, err)
		}
		place := Place{ID: "n1", Name: "alpha", Rack: "r1"}
		demands, err := Resolve([]Rule{r}, beside)
		if err == nil && !r.Soft {
			if kept := demands[0].Keeps(place); kept != (Check([]Rule{r}, place, beside) == nil) {
				t.Fatalf("%q: placement and check differ", text)
			}
		}
	})
}
