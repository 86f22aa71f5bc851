package adminapi

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki/clientcert"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func (s *server) accounts(*http.Request) ([]model.Account, error) {
	return values(s.Store.View().Accounts()), nil
}

func (s *server) createAccount(r *http.Request) (model.Account, error) {
	in, err := decode[createAccount](r)
	if err != nil {
		return model.Account{}, err
	}
	if err := model.CheckLogin(in.Login); err != nil {
		return model.Account{}, err
	}
	a := model.Account{ID: model.NewID()[:32], Login: in.Login, Policy: cmp.Or(in.Policy, model.PolicyTenant), Created: time.Now().UTC()}
	if a.Policy != model.PolicyTenant && a.Policy != model.PolicyTrusted {
		return model.Account{}, model.Errorf(model.KindInvalid, "invalid policy %q: it is %s or %s", a.Policy, model.PolicyTenant, model.PolicyTrusted)
	}
	_, err = s.Store.Propose(r.Context(), command.CreateAccount{Account: a})
	return a, err
}

func (s *server) account(r *http.Request) (model.Account, error) {
	login := r.PathValue("login")
	a, ok := s.Store.View().AccountByLogin(login)
	if !ok {
		return a, model.Errorf(model.KindNotFound, "no account %q", login)
	}
	return a, nil
}

func (s *server) removeAccount(r *http.Request) (none, error) {
	a, err := s.account(r)
	if err != nil {
		return none{}, err
	}
	_, err = s.Store.Propose(r.Context(), command.RemoveAccount{ID: a.ID})
	return none{}, err
}

func (s *server) keys(r *http.Request) ([]model.Key, error) {
	a, err := s.account(r)
	return append([]model.Key{}, a.Keys...), err
}

func (s *server) addKey(r *http.Request) (model.Key, error) {
	a, err := s.account(r)
	if err != nil {
		return model.Key{}, err
	}
	in, err := decode[addKey](r)
	if err != nil {
		return model.Key{}, err
	}
	key, err := clientcert.ParseKey(in.AuthorizedKey, time.Now().UTC())
	if err != nil {
		return model.Key{}, err
	}
	key.Name = cmp.Or(in.Name, freeName(a, key.Name), key.SHA256)
	_, err = s.Store.Propose(r.Context(), command.AddKey{AccountID: a.ID, Key: key})
	return key, err
}

// freeName is a key's comment, unless another key of the account has it: keys
// that were made on one machine all have the same.
func freeName(a model.Account, comment string) string {
	if slices.ContainsFunc(a.Keys, func(k model.Key) bool { return k.Name == comment }) {
		return ""
	}
	return comment
}

func (s *server) removeKey(r *http.Request) (none, error) {
	a, err := s.account(r)
	if err != nil {
		return none{}, err
	}
	ref := r.PathValue("key")
	i := slices.IndexFunc(a.Keys, func(k model.Key) bool {
		return k.Name == ref || k.SHA256 == ref || k.MD5 == strings.TrimPrefix(ref, "MD5:")
	})
	if i < 0 {
		return none{}, model.Errorf(model.KindNotFound, "the account %q has no key %q", a.Login, ref)
	}
	_, err = s.Store.Propose(r.Context(), command.RemoveKey{AccountID: a.ID, SHA256: a.Keys[i].SHA256})
	return none{}, err
}
