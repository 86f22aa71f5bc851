package affinity

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// Label holds the rules of a container as a JSON list of texts.
const Label = "com.docker.swarm.affinities"

// envPrefix begins the variables of a request that are rules.
const envPrefix = "affinity:"

// Variable is the rule as a variable of a request.
func Variable(rule string) string { return envPrefix + rule }

// Bounds of what one request may ask.
const (
	MaxRules = 32
	maxRule  = 512 // bytes
)

// Keys that are no labels. Triton's own tools call a container an instance.
const (
	keyContainer = "container"
	keyInstance  = "instance"
	keyInst      = "inst"
	keyNode      = "node"
	keyRack      = "rack"
	keyZone      = "zone"
)

// Rule is one expression.
type Rule struct {
	Text  string // as it was written
	Key   string
	Value string
	Not   bool // written with !=
	Soft  bool // a wish: kept where it can be

	pattern *regexp.Regexp // nil: Value is exact
}

var (
	keyRule   = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9\-_.]+$`)
	valueRule = regexp.MustCompile(`^[a-zA-Z0-9\s\-:_.*()/?+\[\]\\^$|]+$`)
)

// Parse reads one expression. The error is of KindInvalid and names it.
func Parse(text string) (Rule, error) {
	invalid := func(why string) (Rule, error) {
		return Rule{}, model.Errorf(model.KindInvalid, "invalid affinity %.128q: %s", text, why)
	}
	if len(text) > maxRule {
		return invalid("it is longer than 512 bytes")
	}
	r := Rule{Text: text}
	var found bool
	if r.Key, r.Value, found = strings.Cut(text, "=="); !found {
		if r.Key, r.Value, found = strings.Cut(text, "!="); !found {
			return invalid("it has no operator; use KEY==VALUE or KEY!=VALUE, with a ~ after the operator for a wish")
		}
		r.Not = true
	}
	r.Value, r.Soft = strings.CutPrefix(r.Value, "~")
	if !keyRule.MatchString(r.Key) {
		return invalid("the key must begin with a letter or _ and have two or more letters, digits, - _ or .")
	}
	if !valueRule.MatchString(r.Value) {
		return invalid(`the value must have one or more letters, digits, blanks, or any of - : _ . * ( ) / ? + [ ] \ ^ $ |`)
	}
	if r.Key == keyInstance || r.Key == keyInst {
		r.Key = keyContainer
	}
	var err error
	if r.pattern, err = compile(r.Value); err != nil {
		return invalid("it holds a regular expression that cannot be read")
	}
	return r, nil
}

// compile returns nil for an exact value.
func compile(value string) (*regexp.Regexp, error) {
	if len(value) >= 3 && value[0] == '/' && value[len(value)-1] == '/' {
		return regexp.Compile(value[1 : len(value)-1])
	}
	if !strings.Contains(value, "*") {
		return nil, nil
	}
	parts := strings.Split(value, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.Compile("(?s)^" + strings.Join(parts, ".*") + "$")
}

// ParseAll reads expressions, and refuses too many of them.
func ParseAll(texts []string) ([]Rule, error) {
	if len(texts) > MaxRules {
		return nil, model.Errorf(model.KindInvalid, "there are %d affinities, more than the %d allowed", len(texts), MaxRules)
	}
	rules := make([]Rule, len(texts))
	for i, text := range texts {
		var err error
		if rules[i], err = Parse(text); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// Take takes the rules out of what a request asks: the variables that are
// rules, and the label, which comes back with all of them, so that inspect
// shows them. Neither env nor labels is changed.
func Take(env []string, labels map[string]string) (rules, restEnv []string, restLabels map[string]string, err error) {
	if text, ok := labels[Label]; ok {
		if err := json.Unmarshal([]byte(text), &rules); err != nil {
			return nil, nil, nil, model.Errorf(model.KindInvalid, `invalid label %s: it is no JSON list of texts, such as ["app!=web"]`, Label)
		}
	}
	for _, e := range env {
		if rule, ok := strings.CutPrefix(e, envPrefix); ok {
			rules = append(rules, rule)
		} else {
			restEnv = append(restEnv, e)
		}
	}
	if _, err := ParseAll(rules); err != nil {
		return nil, nil, nil, err
	}
	if len(rules) == 0 {
		return nil, env, without(labels), nil
	}
	text, err := json.Marshal(rules)
	if err != nil {
		return nil, nil, nil, model.WrapError(model.KindInternal, err, "cannot encode affinities")
	}
	restLabels = without(labels)
	if restLabels == nil {
		restLabels = map[string]string{}
	}
	restLabels[Label] = string(text)
	return rules, restEnv, restLabels, nil
}

// without returns a copy of labels that has no rules, or labels itself.
func without(labels map[string]string) map[string]string {
	if labels == nil {
		return nil
	}
	rest := make(map[string]string, len(labels)+1)
	for k, v := range labels {
		if k != Label {
			rest[k] = v
		}
	}
	return rest
}

func (r *Rule) matches(text string) bool {
	if r.pattern != nil {
		return r.pattern.MatchString(text)
	}
	return text == r.Value
}
