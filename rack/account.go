package rack

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki/clientcert"
)

// FirstAccount is the login of the account that every rack begins with.
const FirstAccount = "dev"

// certificateValidity is how long an account's client certificate lasts; Up
// makes a new one each time.
const certificateValidity = 365 * 24 * time.Hour

// AddAccount makes an account with an SSH key and a client certificate, which
// Env then points to. An account that is there only gets a new certificate.
func (r *Rack) AddAccount(ctx context.Context, login string, policy model.Policy) error {
	operated := r.heads()[0]
	for _, h := range r.heads() {
		if _, runs, err := r.daemonOf(h); err == nil && runs {
			operated = h
			break
		}
	}
	c := adminapi.NewClient(r.socket(operated))
	defer c.Close()
	return r.ensureAccount(ctx, c, login, policy)
}

func (r *Rack) ensureAccount(ctx context.Context, c *adminapi.Client, login string, policy model.Policy) error {
	if err := model.CheckLogin(login); err != nil {
		return err
	}
	accounts, err := c.Accounts(ctx)
	if err != nil {
		return fmt.Errorf("cannot list accounts: %w", err)
	}
	i := slices.IndexFunc(accounts, func(a model.Account) bool { return a.Login == login })
	var account model.Account
	if i >= 0 {
		account = accounts[i]
	} else if account, err = c.CreateAccount(ctx, login, policy); err != nil {
		return fmt.Errorf("cannot make the account %s: %w", login, err)
	}
	signer, err := ensureKey(filepath.Join(r.accountDir(login), "id_ed25519"), login)
	if err != nil {
		return err
	}
	fingerprint := ssh.FingerprintSHA256(signer.PublicKey())
	if !slices.ContainsFunc(account.Keys, func(k model.Key) bool { return k.SHA256 == fingerprint }) {
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
		if _, err := c.AddKey(ctx, login, "rack", line); err != nil {
			return fmt.Errorf("cannot add the key of the account %s: %w", login, err)
		}
	}
	return r.writeCertificate(login, signer)
}

// ensureKey reads the SSH key in path, or makes it, with its public half
// beside it.
func ensureKey(path, comment string) (ssh.Signer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text, err = makeKey(path, comment)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the account's key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("cannot use the account's key: %w", err)
	}
	return signer, nil
}

func makeKey(path, comment string) ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, err
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " " + comment + "\n"
	if err := atomicfile.Write(path+".pub", []byte(line), 0o644); err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(block)
	return text, atomicfile.Write(path, text, 0o600)
}

// writeCertificate writes the three files that a docker client wants.
func (r *Rack) writeCertificate(login string, signer ssh.Signer) error {
	pair, err := clientcert.Generate(login, signer, time.Now(), certificateValidity)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(r.stateDir(r.heads()[0]), "identity", "ca.pem"))
	if err != nil {
		return fmt.Errorf("cannot read the data center's CA: %w", err)
	}
	for name, text := range map[string][]byte{"ca.pem": ca, "cert.pem": pair.Certificate, "key.pem": pair.Key} {
		if err := atomicfile.Write(filepath.Join(r.accountDir(login), name), text, 0o600); err != nil {
			return fmt.Errorf("cannot write the account's certificate: %w", err)
		}
	}
	return nil
}

// Env returns the settings (NAME=value) by which a docker client reaches the
// rack as an account through one of its heads, and an operator's commands that
// head; "" is the first account, and the first head.
func (r *Rack) Env(account, head string) ([]string, error) {
	if account == "" {
		account = FirstAccount
	}
	through := r.heads()[0]
	if head != "" {
		var err error
		if through, err = r.host(head); err != nil {
			return nil, err
		}
		if through.role != roleHead {
			return nil, model.Errorf(model.KindInvalid, "--head %s: that is a node; docker speaks to heads", head)
		}
	}
	if err := model.CheckLogin(account); err != nil {
		return nil, err
	}
	dir := r.accountDir(account)
	if _, err := os.Stat(filepath.Join(dir, "cert.pem")); err != nil {
		return nil, model.Errorf(model.KindNotFound, "this rack has no certificate for the account %q: it has one for %s", account, FirstAccount)
	}
	return []string{
		"DOCKER_HOST=" + dockerHost(through),
		"DOCKER_CERT_PATH=" + dir,
		"DOCKER_TLS_VERIFY=1",
		"SPEARHEAD_SOCKET=" + r.socket(through),
	}, nil
}

func dockerHost(h host) string { return "tcp://" + at(h, dockerPort) }

// awaitDocker waits until the first account's docker lists containers through
// every head.
func (r *Rack) awaitDocker(ctx context.Context) error {
	dir := r.accountDir(FirstAccount)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return fmt.Errorf("cannot use the account's certificate: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return fmt.Errorf("cannot read the data center's CA: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for _, h := range r.heads() {
		err := r.await(ctx, "use docker through "+h.name, func(ctx context.Context) (bool, error) {
			return dockerLists(ctx, client, h)
		}, r.heads)
		if err != nil {
			return err
		}
	}
	return nil
}

// dockerLists asks a head for the list of containers; false if nobody listens
// yet.
func dockerLists(ctx context.Context, client *http.Client, h host) (bool, error) {
	url := "https://" + at(h, dockerPort) + "/containers/json"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, nil
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusServiceUnavailable:
		return false, nil
	}
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	return false, fmt.Errorf("it answers with status %d: %s", resp.StatusCode, said)
}
