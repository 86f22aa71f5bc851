package command

import "github.com/spearheadcloud/spearhead/model"

// NumberSetAccountPublish is the number of SetAccountPublish.
const NumberSetAccountPublish Number = 85

// SetAccountPublish decides where ports of an account's containers are
// published that are made from then on.
type SetAccountPublish struct {
	AccountID string        `json:"account_id"`
	Publish   model.Publish `json:"publish,omitempty"`
}

// Number implements Command.
func (SetAccountPublish) Number() Number { return NumberSetAccountPublish }
