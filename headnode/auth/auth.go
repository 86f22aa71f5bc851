package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki/clientcert"
)

// maxProven bounds the remembered signatures; past it, all are forgotten.
const maxProven = 16384

// Authenticator implements dockerapi.Authenticator. It is safe for concurrent
// use.
type Authenticator struct {
	account func(login string) (model.Account, bool)
	now     func() time.Time

	mu     sync.RWMutex
	proven map[[sha256.Size]byte]proof // by hash of the certificate
}

// proof remembers that a certificate is signed by a key of an account.
type proof struct {
	accountID string
	key       string // SHA256 fingerprint
}

var _ dockerapi.Authenticator = (*Authenticator)(nil)

// New returns an Authenticator that finds accounts, as they are at the moment
// of the call, by account.
func New(account func(login string) (model.Account, bool), now func() time.Time) *Authenticator {
	return &Authenticator{account: account, now: now, proven: map[[sha256.Size]byte]proof{}}
}

// Authenticate implements dockerapi.Authenticator. All its errors are of
// KindUnauthenticated and say what about the certificate is not right.
func (a *Authenticator) Authenticate(r *http.Request) (model.Account, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return model.Account{}, refuse("a client certificate is needed: set DOCKER_CERT_PATH and DOCKER_TLS_VERIFY=1 as spearhead profile env prints them")
	}
	leaf := r.TLS.PeerCertificates[0]
	login := leaf.Subject.CommonName
	account, ok := a.account(login)
	if !ok {
		return model.Account{}, unknownKey(leaf, login)
	}
	hash := sha256.Sum256(leaf.Raw)
	if a.stillProven(hash, leaf, account) {
		return account, nil
	}
	key, err := clientcert.Verify(leaf, account.Keys, a.now())
	if err != nil {
		return model.Account{}, model.WrapError(model.KindUnauthenticated, err, "%s (%s)", model.UserText(err), maker(leaf))
	}
	a.remember(hash, proof{account.ID, key.SHA256})
	return account, nil
}

// stillProven reports whether the certificate was verified before, its dates
// hold, and the account has the key that made it now.
func (a *Authenticator) stillProven(hash [sha256.Size]byte, leaf *x509.Certificate, account model.Account) bool {
	a.mu.RLock()
	p, ok := a.proven[hash]
	a.mu.RUnlock()
	return ok && p.accountID == account.ID && !a.now().After(leaf.NotAfter) &&
		slices.ContainsFunc(account.Keys, func(k model.Key) bool { return k.SHA256 == p.key })
}

func (a *Authenticator) remember(hash [sha256.Size]byte, p proof) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.proven) >= maxProven {
		clear(a.proven)
	}
	a.proven[hash] = p
}

func refuse(format string, args ...any) error {
	return model.Errorf(model.KindUnauthenticated, format, args...)
}

// unknownKey says the same of an account that is not there as of a key that
// the account lacks.
func unknownKey(leaf *x509.Certificate, login string) error {
	return refuse("the account %q has no such key: the client certificate is made with an SSH key that the account does not have (%s)", login, maker(leaf))
}

// maker names the SSH key that made a certificate, as far as it tells.
func maker(leaf *x509.Certificate) string {
	issuer := leaf.Issuer.CommonName
	if strings.HasPrefix(issuer, "SHA256:") || strings.HasPrefix(issuer, "MD5:") {
		return "key " + issuer
	}
	public, err := ssh.NewPublicKey(leaf.PublicKey)
	if err != nil {
		return "key of an unknown sort"
	}
	return "key " + ssh.FingerprintSHA256(public)
}
