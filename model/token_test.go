package model

import (
	"strings"
	"testing"
)

func FuzzParseToken(f *testing.F) {
	good := TokenText{Role: RoleNode, ID: strings.Repeat("a", TokenIDDigits), Secret: strings.Repeat("b", TokenSecretDigits), Fingerprint: strings.Repeat("c", fingerprintDigits)}
	f.Add(good.String())
	f.Add(" " + good.String() + "\n")
	f.Add("spearhead-node-x")
	f.Add(strings.ToUpper(good.String()))
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			if len(text) > 20 && strings.Contains(err.Error(), text) {
				t.Error("the error repeats the token")
			}
			return
		}
		if token.String() != strings.TrimSpace(text) {
			t.Errorf("%q became %q", text, token)
		}
	})
}

func TestInventoriesAreBounded(t *testing.T) {
	t.Parallel()
	i := Inventory{Product: strings.Repeat("x", 1000), Disks: make([]Disk, 500), Links: make([]Interface, 500)}
	i.Disks[0].Model = strings.Repeat("y", 1000)
	b := i.Bounded()
	if len(b.Product) > maxPartText || len(b.Disks) > maxParts || len(b.Links) > maxParts || len(b.Disks[0].Model) > maxPartText {
		t.Errorf("%d bytes, %d disks, %d links", len(b.Product), len(b.Disks), len(b.Links))
	}
	if len(i.Disks[0].Model) != 1000 {
		t.Error("the original was changed")
	}
}
