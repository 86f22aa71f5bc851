package profile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Passphrase asks the user for the passphrase of the key file at path.
type Passphrase func(path string) ([]byte, error)

// LoadKey finds the SSH key that a profile names: a private key file (OpenSSH's form, PEM
// or PKCS #8; ask gives the passphrase of an encrypted one), or a key of the running
// ssh-agent, named by a fingerprint or by the file of its public half. The closer ends the
// connection to the agent, and must be called when the signer is done with.
func LoadKey(ctx context.Context, key string, ask Passphrase) (ssh.Signer, io.Closer, error) {
	text, err := os.ReadFile(key)
	switch {
	case err == nil:
		if public, _, _, _, err := ssh.ParseAuthorizedKey(text); err == nil {
			return agentKey(ctx, ssh.FingerprintSHA256(public))
		}
		signer, err := fileKey(key, text, ask)
		return signer, io.NopCloser(nil), err
	case isFingerprint(key):
		return agentKey(ctx, key)
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("there is no key file %s: give the path of an SSH key, or a fingerprint that ssh-add -l prints", key)
	default:
		return nil, nil, fmt.Errorf("cannot read the key: %w", err)
	}
}

func fileKey(path string, text []byte, ask Passphrase) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(text)
	if locked := (*ssh.PassphraseMissingError)(nil); errors.As(err, &locked) {
		passphrase, err := ask(path)
		if err != nil {
			return nil, fmt.Errorf("cannot ask for the passphrase of %s: %w; load the key into your ssh-agent (ssh-add %s) and name it by its fingerprint", path, err, path)
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(text, passphrase)
		if err != nil {
			return nil, fmt.Errorf("cannot open the key %s: the passphrase does not fit", path)
		}
		return signer, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the key %s: %w; it must be an RSA, ECDSA or Ed25519 private key as ssh-keygen writes them", path, err)
	}
	return signer, nil
}

// isFingerprint knows the forms that ssh-keygen -l prints, and the bare MD5 form.
func isFingerprint(text string) bool {
	return strings.HasPrefix(text, "SHA256:") || strings.HasPrefix(text, "MD5:") || strings.Count(text, ":") == 15
}

// fingerprints are the names by which users know a key.
func fingerprints(key ssh.PublicKey) []string {
	md5 := ssh.FingerprintLegacyMD5(key)
	return []string{ssh.FingerprintSHA256(key), md5, "MD5:" + md5}
}

// agentKey finds the key with the fingerprint in the running ssh-agent.
func agentKey(ctx context.Context, fingerprint string) (ssh.Signer, io.Closer, error) {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, nil, fmt.Errorf("the key %s is to come from an ssh-agent, but none runs: start one, or give the path of a private key", fingerprint)
	}
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot reach the ssh-agent: %w", err)
	}
	signers, err := agent.NewClient(connection).Signers()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("cannot ask the ssh-agent for its keys: %w", err), connection.Close())
	}
	for _, signer := range signers {
		for _, name := range fingerprints(signer.PublicKey()) {
			if name == fingerprint {
				return signer, connection, nil
			}
		}
	}
	return nil, nil, errors.Join(fmt.Errorf("the ssh-agent does not hold the key %s: it lists its keys with: ssh-add -l", fingerprint), connection.Close())
}
