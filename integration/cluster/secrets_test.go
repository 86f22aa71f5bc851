package cluster

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secret is text that is nowhere else.
func secret() string {
	bytes := make([]byte, 12)
	rand.Read(bytes) // never fails (crypto/rand)
	return hex.EncodeToString(bytes)
}

// TestP17SecretsAreToldToNobody uses secrets of each kind and looks for them where they must not be:
// logs of all machines, events, command lines, what operators and Prometheus are shown, and, for
// those that nobody has to get back, what the heads keep.
func TestP17SecretsAreToldToNobody(t *testing.T) {
	b := whole(t)
	environment, password := secret(), secret()
	dir := t.TempDir()
	settings := filepath.Join(dir, "environment")
	if err := os.WriteFile(settings, []byte("PASSWORD="+environment+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, b.Address, base64.StdEncoding.EncodeToString([]byte("jill:"+password)))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(login), 0o600); err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(operate(t, b, "head-1", "token", "create", "--role", "node"))
	tokenSecret := token[strings.LastIndex(token, "-")+1:]

	known := b.With("", "DOCKER_CONFIG="+dir)
	known.Docker(t, "pull", "-q", b.Image)
	known.Try(t, "pull", "-q", b.Address+"/nothing:of-this-name")
	id := known.Run(t, "--env-file", settings, b.Image, "sleep", "1000")
	known.Docker(t, "exec", "--env-file", settings, id, "true")
	if done := known.Try(t, "run", "--rm", "--env-file", settings, b.Image, "/no/such/program"); done.Code == 0 || strings.Contains(done.Stderr, environment) {
		t.Errorf("a container that cannot start: %d, %s", done.Code, done.Stderr)
	}
	fault(t, b, "kill", nodeOf(t, b, id)) // what it says when it comes back
	fault(t, b, "start", nodeOf(t, b, id))
	awaitWhole(t, b)
	if got := known.Docker(t, "exec", id, "sh", "-c", "echo $PASSWORD"); got != environment {
		t.Fatalf("the container has %q", got)
	}

	shown := map[string]string{
		"docker events": b.Docker(t, "events", "--since", "0", "--until", "0s"),
		"node ls":       operate(t, b, "head-1", "node", "ls"),
		"token ls":      operate(t, b, "head-1", "token", "ls"),
		"status":        operate(t, b, "head-1", "status", "--json"),
		"metrics":       fetch(t, "http://"+address(t, b, "head-1")+":9376/metrics"),
	}
	for _, h := range b.Hosts(t) {
		shown["the log of "+h.Name] = logOf(t, b, h.Name)
	}
	for _, folder := range processes(t) {
		line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		shown["the command line "+folder] = string(line)
	}
	for where, text := range shown {
		for what, hidden := range map[string]string{"environment": environment, "password": password, "token": tokenSecret} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s shows the %s", where, what)
			}
		}
	}
	for _, head := range heads {
		for what, hidden := range map[string]string{"password": password, "token": tokenSecret} {
			if file := fileWith(t, filepath.Join(b.Dir, head, "state"), hidden); file != "" {
				t.Errorf("%s keeps the %s in %s", head, what, file)
			}
		}
	}
}

// processes are the folders of all processes of this machine but this test's own.
func processes(t *testing.T) (folders []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range all {
		if filepath.Base(folder) != fmt.Sprint(os.Getpid()) {
			folders = append(folders, folder)
		}
	}
	return folders
}

// fileWith is a file below dir that has the text in it, or "".
func fileWith(t *testing.T, dir, text string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), text) {
			found = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
