package state

import (
	"slices"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (t *transaction) createAccount(c command.CreateAccount) error {
	a := c.Account
	if err := checkKey("account id", a.ID); err != nil {
		return err
	}
	if err := model.CheckLogin(a.Login); err != nil {
		return err
	}
	if a.Policy != model.PolicyTenant && a.Policy != model.PolicyTrusted {
		return model.Errorf(model.KindInvalid, "unknown account policy %q: use %s or %s", a.Policy, model.PolicyTenant, model.PolicyTrusted)
	}
	if old, ok := t.AccountByLogin(a.Login); ok && old.ID != a.ID {
		return model.Errorf(model.KindConflict, "an account with the login %s exists already", a.Login)
	}
	if old, ok := t.Account(a.ID); ok {
		if old.Login == a.Login {
			return nil
		}
		return model.Errorf(model.KindConflict, "an account with the id %s exists already", a.ID)
	}
	keys := a.Keys
	a.Keys = nil
	for _, k := range keys {
		var err error
		if a.Keys, err = withKey(a, k); err != nil {
			return err
		}
	}
	t.touch(a.ID)
	return t.insert(tableAccounts, &a)
}

func (t *transaction) account(id string) (model.Account, error) {
	a, ok := t.Account(id)
	if !ok {
		return a, model.Errorf(model.KindNotFound, "no such account")
	}
	return a, nil
}

func (t *transaction) removeAccount(c command.RemoveAccount) error {
	a, err := t.account(c.ID)
	if err != nil {
		return err
	}
	if n := len(t.Containers(a.ID)); n > 0 {
		return model.Errorf(model.KindConflict, "account %s has %d containers; remove them first", a.Login, n)
	}
	if n := len(t.Volumes(a.ID)); n > 0 {
		return model.Errorf(model.KindConflict, "account %s has %d volumes; remove them first", a.Login, n)
	}
	if err := t.removeNetworksOf(a.ID); err != nil {
		return err
	}
	if err := t.removeRulesOf(a.ID); err != nil {
		return err
	}
	for _, n := range t.ImageNames(a.ID) {
		if err := t.delete(tableImageNames, n); err != nil {
			return err
		}
		if err := t.forgetImage(n.ImageID); err != nil {
			return err
		}
	}
	if exists(t.txn, tableVersions, indexID, a.ID) {
		if err := t.delete(tableVersions, &accountVersion{AccountID: a.ID}); err != nil {
			return err
		}
	}
	if err := t.forgetBuilder(a.ID); err != nil {
		return err
	}
	delete(t.changed, a.ID)
	return t.delete(tableAccounts, &a)
}

func (t *transaction) addKey(c command.AddKey) error {
	a, err := t.account(c.AccountID)
	if err != nil {
		return err
	}
	for _, k := range a.Keys {
		if k.SHA256 == c.Key.SHA256 && k.Name == c.Key.Name {
			return nil
		}
	}
	if a.Keys, err = withKey(a, c.Key); err != nil {
		return err
	}
	t.touch(a.ID)
	return t.insert(tableAccounts, &a)
}

// withKey returns a's keys and k, in a slice of their own.
func withKey(a model.Account, k model.Key) ([]model.Key, error) {
	if k.SHA256 == "" || k.Public == "" {
		return nil, model.Errorf(model.KindInvalid, "a key lacks its fingerprint or its public part")
	}
	for _, old := range a.Keys {
		if old.SHA256 == k.SHA256 {
			return nil, model.Errorf(model.KindConflict, "account %s has the key %s already, under the name %q", a.Login, k.SHA256, old.Name)
		}
		if old.Name == k.Name && k.Name != "" {
			return nil, model.Errorf(model.KindConflict, "account %s has another key with the name %q; choose another name", a.Login, k.Name)
		}
	}
	return append(slices.Clone(a.Keys), k), nil
}

func (t *transaction) removeKey(c command.RemoveKey) error {
	a, err := t.account(c.AccountID)
	if err != nil {
		return err
	}
	keys := slices.DeleteFunc(slices.Clone(a.Keys), func(k model.Key) bool { return k.SHA256 == c.SHA256 })
	if len(keys) == len(a.Keys) {
		return model.Errorf(model.KindNotFound, "account %s has no key %s", a.Login, c.SHA256)
	}
	a.Keys = keys
	t.touch(a.ID)
	return t.insert(tableAccounts, &a)
}
