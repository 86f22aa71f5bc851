package accountapi

import (
	"encoding/json"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

// FuzzDecode: whatever a tenant sends is read as one value with known fields, or
// is refused as invalid.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"text":"FROM any TO all vms ALLOW icmp","disabled":true}`, `{}`, `null`, `[1]`, `{"text":{}}`, `{"TEXT":"x"} x`, "\xff", `{"text":1e999}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := decodeText[NewRule](text)
		if err != nil {
			if !model.IsKind(err, model.KindInvalid) || model.UserText(err) == "" {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		back, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decodeText[NewRule](string(back)); err != nil || again != r {
			t.Fatalf("%s is read as %+v, %v", back, again, err)
		}
		rule := model.Rule{Text: r.Text, Description: r.Description}
		if err := checkRule(&rule); err != nil && !model.IsKind(err, model.KindInvalid) && !model.IsKind(err, model.KindForbidden) {
			t.Fatalf("the rule is refused with %v", err)
		}
	})
}
