package command

import "github.com/spearheadcloud/spearhead/model"

// The numbers of the commands about sizes and limits.
const (
	NumberSetAccountLimits Number = 45
	NumberRemovePackage    Number = 46
	NumberSeedPackages     Number = 100
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

// SeedPackages gives a data center the packages that it begins with, once and
// for all: what operators make of them later is not touched, and their own
// packages, also those that came before, stay as they are.
type SeedPackages struct {
	Packages []model.Package `json:"packages"`
}

// Number implements Command.
func (SeedPackages) Number() Number { return NumberSeedPackages }

// Number implements Command.
func (SetAccountLimits) Number() Number { return NumberSetAccountLimits }

// Number implements Command.
func (RemovePackage) Number() Number { return NumberRemovePackage }
