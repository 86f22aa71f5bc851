package clientcert

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/agent"

	"github.com/spearheadcloud/spearhead/model"
)

// run runs a program that the machine may lack.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs the program %s", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func keygen(t *testing.T, args ...string) (file string, key model.Key) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "id")
	run(t, "ssh-keygen", append([]string{"-q", "-N", "", "-C", "jill@laptop", "-f", file}, args...)...)
	line, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	if key, err = ParseKey(string(line), now); err != nil {
		t.Fatal(err)
	}
	return file, key
}

func TestFingerprintsAreThoseOfSSHKeygen(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-t", "rsa", "-b", "2048"}, {"-t", "ecdsa"}, {"-t", "ed25519"}} {
		file, key := keygen(t, args...)
		for hash, want := range map[string]string{"sha256": key.SHA256, "md5": "MD5:" + key.MD5} {
			if out := run(t, "ssh-keygen", "-l", "-E", hash, "-f", file+".pub"); !bytes.Contains(out, []byte(" "+want+" ")) {
				t.Errorf("%v: ssh-keygen says %s, we say %s", args, out, want)
			}
		}
	}
}

// TestScriptsOfOpenSSLAreVerified makes certificates as sdc-docker's set-up
// script does: X.509 version 1, of the key itself.
func TestScriptsOfOpenSSLAreVerified(t *testing.T) {
	t.Parallel()
	file, key := keygen(t, "-t", "rsa", "-b", "2048", "-m", "PEM")
	dir := t.TempDir()
	request := filepath.Join(dir, "csr")
	run(t, "openssl", "req", "-new", "-key", file, "-subj", "/CN=jill", "-out", request)
	for _, c := range []struct {
		name string
		args []string
		at   time.Time
		text string
	}{
		{"as the script does", []string{"-sha256", "-days", "365"}, time.Now(), ""},
		{"expired", []string{"-sha256", "-days", "1"}, time.Now().Add(48 * time.Hour), "Client certificate expired"},
		{"SHA-1", []string{"-sha1", "-days", "365"}, time.Now(), "too weak"},
	} {
		out := filepath.Join(dir, "cert.pem")
		run(t, "openssl", append([]string{"x509", "-req", "-in", request, "-signkey", file, "-out", out}, c.args...)...)
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Version != 1 {
			t.Errorf("openssl made version %d", leaf.Version)
		}
		_, err = Verify(leaf, []model.Key{key}, c.at)
		if (err == nil) != (c.text == "") || err != nil && !strings.Contains(model.UserText(err), c.text) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestRealAgentSigns(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("ssh-agent")
	if err != nil {
		t.Skip("needs the program ssh-agent")
	}
	// A socket's path has little room: not the test's own directory.
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.CommandContext(t.Context(), program, "-D", "-a", socket)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	// It says where it listens once it does.
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := agent.NewClient(conn)
	for name, key := range keysOnce() {
		if err := client.Add(agent.AddedKey{PrivateKey: addable(key)}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	signers, err := client.Signers()
	if err != nil {
		t.Fatal(err)
	}
	if len(signers) != len(keysOnce()) {
		t.Errorf("the agent has %d keys", len(signers))
	}
	var keys []model.Key
	for _, key := range keysOnce() {
		keys = append(keys, stored(t, key))
	}
	for _, s := range signers {
		pair, err := Generate("jill", s, now, time.Hour)
		if err != nil {
			t.Errorf("%s: %v", s.PublicKey().Type(), err)
			continue
		}
		if _, err := Verify(leafOf(t, pair), keys, now); err != nil {
			t.Errorf("%s: %v", s.PublicKey().Type(), err)
		}
	}
}
