package command

import "github.com/spearheadcloud/spearhead/model"

// The numbers of the commands about sizes and limits.
const (
	NumberSetAccountLimits Number = 45
	NumberRemovePackage    Number = 46
)

// SetAccountLimits sets all limits of an account. What the account has beyond
// them stays, and nothing is added to it.
type SetAccountLimits struct {
	AccountID string              `json:"account_id"`
	Limits    model.AccountLimits `json:"limits"`
}

// RemovePackage withdraws a package. While containers have it, it is kept for
// them and for nobody else. A package that is not there is KindNotFound.
type RemovePackage struct {
	Name string `json:"name"`
}

// Number implements Command.
func (SetAccountLimits) Number() Number { return NumberSetAccountLimits }

// Number implements Command.
func (RemovePackage) Number() Number { return NumberRemovePackage }
