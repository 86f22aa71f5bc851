package clientcert

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/spearheadcloud/spearhead/model"
)

func TestKeysAreRead(t *testing.T) {
	t.Parallel()
	for name, key := range keysOnce() {
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshSigner(t, key).PublicKey())))
		for _, form := range []string{line, line + "\n", line + "\r\n", line + " jill@laptop", "  " + line + "  jill@laptop  \n"} {
			k, err := ParseKey(form, now)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if k.Public != line || !k.Added.Equal(now) || !strings.HasPrefix(k.SHA256, "SHA256:") || len(k.MD5) != 47 {
				t.Errorf("%s: got %+v", name, k)
			}
			if strings.Contains(form, "jill") != (k.Name == "jill@laptop") {
				t.Errorf("%s: the name is %q", name, k.Name)
			}
		}
	}
}

// rsaLine is a key with a modulus of that many bits.
func rsaLine(bits uint) string {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	n.SetBit(n, 0, 1)
	blob := ssh.Marshal(struct {
		Kind string
		E, N *big.Int
	}{"ssh-rsa", big.NewInt(65537), n})
	return "ssh-rsa " + base64.StdEncoding.EncodeToString(blob)
}

func TestBadKeysAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	good := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshSigner(t, keysOnce()["Ed25519"]).PublicKey())))
	blob := good[len("ssh-ed25519 "):]
	raw, err := base64.StdEncoding.DecodeString(blob)
	if err != nil {
		t.Fatal(err)
	}
	short := binary.BigEndian.AppendUint32([]byte("\x00\x00\x00\x0bssh-ed25519"), ed25519.PublicKeySize)
	for _, c := range []struct{ name, line, text string }{
		{"empty", "", "no SSH public key"},
		{"a word", "hello", "no SSH public key"},
		{"DSA", "ssh-dss AAAA", "DSA keys are too weak"},
		{"RSA with 1024 bits", rsaLine(1024), "has 1024 bits; at least 2048"},
		{"RSA with 16384 bits", rsaLine(16384), "at most 8192"},
		{"security token", "sk-ssh-ed25519@openssh.com AAAA", "security tokens"},
		{"SSH certificate", "ssh-ed25519-cert-v01@openssh.com AAAA", "SSH certificate"},
		{"options", `command="/bin/sh" ` + good, "options before a key"},
		{"one option", "restrict " + good, "options before a key"},
		{"unknown type", "ssh-quantum AAAA", "unknown type"},
		{"two lines", good + "\n" + good, "line breaks"},
		{"line break in the comment", good + " jill\r\nssh-rsa AAAA", "line breaks"},
		{"bare return in the comment", good + " a\rb", "line breaks"},
		{"escape code", good + " \x1b[2J", "control characters"},
		{"NUL", good + " a\x00b", "control characters"},
		{"not UTF-8", good + " \xff", "UTF-8"},
		{"private key", "-----BEGIN OPENSSH PRIVATE KEY-----", "private key"},
		{"not base64", "ssh-ed25519 !!!!", "not base64"},
		{"cut off", "ssh-ed25519 " + base64.StdEncoding.EncodeToString(short), "damaged"},
		{"more at the end", "ssh-ed25519 " + base64.StdEncoding.EncodeToString(append(raw, 1, 2, 3)), "damaged"},
		{"another type", "ssh-rsa " + blob, "says that it is of type ssh-rsa"},
		{"huge", good + " " + strings.Repeat("a", 100<<10), "longer than"},
		{"long comment", good + " " + strings.Repeat("a", 256), "comment is longer"},
	} {
		_, err := ParseKey(c.line, now)
		if !model.IsKind(err, model.KindInvalid) || !strings.Contains(model.UserText(err), c.text) {
			t.Errorf("%s: got %v, want a text with %q", c.name, err, c.text)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(string(ssh.MarshalAuthorizedKey(sshSigner(f, newKey(f)).PublicKey())))
	f.Add(rsaLine(2048) + " comment")
	f.Add("ssh-dss AAAA")
	f.Fuzz(func(t *testing.T, line string) {
		k, err := ParseKey(line, now)
		if err != nil {
			if !model.IsKind(err, model.KindInvalid) {
				t.Errorf("the error is no refusal: %v", err)
			}
			return
		}
		again, err := ParseKey(k.Public, now)
		if err != nil || again.SHA256 != k.SHA256 || strings.ContainsAny(k.Public+k.Name, "\r\n") {
			t.Errorf("%q became %+v, and that %+v, %v", line, k, again, err)
		}
	})
}
