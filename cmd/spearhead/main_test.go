package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call runs the command line as main does.
// Tests that call it are not parallel: the cli library has one help flag for
// the whole process.
func call(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, problems strings.Builder
	app := newApp()
	app.Writer, app.ErrWriter = &out, &problems
	code = report(app.RunContext(context.Background(), flagsFirst(app, append([]string{"spearhead"}, args...))), &problems)
	return out.String(), problems.String(), code
}

func TestWrongCallsSayWhatToDo(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"account create", "account create: LOGIN is missing"},
		{"account create jill jack", `"jack" is one argument too many`},
		{"account create jill --policy root", "it is tenant or trusted"},
		{"account frob", `there is no command "account frob"`},
		{"dev up --bogus", "flag provided but not defined: -bogus"},
		{"dev fault kill", "dev fault: HOST is missing"},
		{"key add jill", "key add: FILE is missing"},
		{"network create lan --nic-tag external", "--subnet is missing"},
		{"network create lan --nic-tag e --subnet 10.0.0.0 --gateway 10.0.0.1 --first 10.0.0.2 --last 10.0.0.9", "is not ADDRESS/BITS"},
		{"network create lan --vlan 5000 --nic-tag e --subnet 10.0.0.0/8 --gateway 10.0.0.1 --first 10.0.0.2 --last 10.0.0.9", "up to 4094"},
		{"package create small --memory lots", "is not a size"},
		{"profile docker-setup work --ca x --insecure-first-use", "exclude each other"},
	} {
		stdout, stderr, code := call(t, strings.Fields(test.args)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: code %d, stdout %q, stderr %q; want code 2 and one line with %q", test.args, code, stdout, stderr, test.want)
		}
	}
}

// Commands that accounts have too say both ways where neither is there, and never
// take the one for the other.
func TestCommandsSpeakAsWhoTheyAreTold(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv(socketVariable, "/nonexistent/head.sock")
	t.Setenv(profileVariable, "")
	refused := func(code int, want string, args ...string) {
		t.Helper()
		_, stderr, got := call(t, args...)
		if got != code || !strings.Contains(stderr, want) {
			t.Errorf("%v: code %d, stderr %q; want code %d with %q", args, got, stderr, code, want)
		}
	}
	refused(1, "no head runs behind /nonexistent/head.sock", "volume", "ls")
	refused(1, "speak as it with --profile NAME", "fwrule", "ls")
	refused(2, "exclude each other", "fwrule", "ls", "--profile", "work", "--socket", "/x")
	refused(2, "needs a NAME", "usage", "--profile", "")
	refused(1, "no profile work", "usage", "--profile", "work")
	for _, args := range [][]string{{"volume", "send", "jill/data"}, {"volume", "move", "jill/data", "n"}, {"package", "rm", "x"}, {"network", "rm", "x"}} {
		refused(2, "is for operators", append(args, "--profile", "work")...)
	}
	refused(2, "--account is missing", "usage")

	t.Setenv(profileVariable, "laptop")
	refused(1, "no profile laptop", "volume", "ls")
	refused(1, "no head runs behind /other", "volume", "ls", "--socket", "/other")
	refused(1, "whatever SPEARHEAD_PROFILE says", "package", "rm", "x")
	refused(1, "no head runs behind /nonexistent/head.sock", "node", "ls")
}

func TestEveryCommandHasHelp(t *testing.T) {
	for _, command := range newApp().Commands {
		for _, sub := range command.Subcommands {
			stdout, _, code := call(t, command.Name, sub.Name, "--help")
			if code != 0 || !strings.Contains(stdout, sub.Usage) || sub.Usage == "" {
				t.Errorf("%s %s --help: code %d: %s", command.Name, sub.Name, code, stdout)
			}
		}
	}
}

func TestOperatorIsToldWhyThereIsNoHead(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone.sock")
	listener, err := net.Listen("unix", gone)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	listener.Close()
	for _, socket := range []string{filepath.Join(t.TempDir(), "none.sock"), gone} {
		_, stderr, code := call(t, "node", "ls", "--socket", socket)
		if code != 1 || !strings.Contains(stderr, "no head runs behind "+socket) {
			t.Errorf("code %d, stderr %q", code, stderr)
		}
	}
}

// A file that the command cannot open is not taken for a head that is not there.
func TestFilesOfStreamsAreNamed(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "head.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for what, args := range map[string][]string{
		"cannot write the stream": {"send", "jill/data", "-o"},
		"cannot read the stream":  {"receive", "jill/data", "-i"},
	} {
		path := filepath.Join(t.TempDir(), "none", "file")
		_, stderr, code := call(t, append(append([]string{"volume"}, args...), path, "--socket", socket)...)
		if code != 1 || !strings.Contains(stderr, what) || !strings.Contains(stderr, path) {
			t.Errorf("%v: code %d, stderr %q", args, code, stderr)
		}
	}
}

func TestFilesThatAreWrittenInPartGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stream")
	half := errors.New("half")
	err := writeNew(path, func(to io.Writer) error {
		_, err := io.WriteString(to, "begin")
		return errors.Join(half, err)
	})
	if _, there := os.Lstat(path); !errors.Is(err, half) || !errors.Is(there, fs.ErrNotExist) {
		t.Errorf("a stream that broke off: %v, and its file: %v", err, there)
	}
	whole := func(to io.Writer) error { _, err := io.WriteString(to, "all"); return err }
	if err := writeNew(path, whole); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(path, whole); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that is there: %v", err)
	}
	if got, err := os.ReadFile(path); string(got) != "all" || err != nil {
		t.Errorf("the file holds %q, %v", got, err)
	}
}

func TestFlagsMayFollowArguments(t *testing.T) {
	app := newApp()
	for args, want := range map[string]string{
		"account create jill --policy trusted":  "account create --policy trusted -- jill",
		"account create --policy=trusted jill":  "account create --policy=trusted -- jill",
		"network create lan --default --vlan 3": "network create --default --vlan 3 -- lan",
		"key add jill -":                        "key add -- jill -",
		"key add jill -- --odd":                 "key add -- jill --odd",
		"dev":                                   "dev",
	} {
		got := strings.Join(flagsFirst(app, strings.Fields("spearhead "+args))[1:], " ")
		if got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
}

func TestConfigurationFilesAreReadStrictly(t *testing.T) {
	for text, want := range map[string]string{
		"name = \"h\"\nstate-dir = \"/x\"\n": "unknown keys: state-dir (line 2)",
		"name = 3\n":                         "line 1",
		"name = \"h\n":                       "line 1",
	} {
		path := filepath.Join(t.TempDir(), "head.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, stderr, code := call(t, "head", "run", "--config", path)
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%q: code %d, stderr %q; want one with %q", text, code, stderr, want)
		}
	}
	for text, want := range map[string]string{
		"[logs]\nmax_size = \"much\"\n": `logs.max_size is "much"`,
		"[logs]\nmax_file = 0\n":        "logs.max_file is 0",
	} {
		path := filepath.Join(t.TempDir(), "agent.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, stderr, code := call(t, "agent", "run", "--config", path); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%q: code %d, stderr %q; want one with %q", text, code, stderr, want)
		}
	}
	_, stderr, _ := call(t, "agent", "run", "--config", "/nonexistent/agent.toml")
	if !strings.Contains(stderr, "there is no configuration file") {
		t.Errorf("a missing file: %q", stderr)
	}
}

func TestPrivateKeysAreNotSent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(path, []byte("-----BEGIN OPENSSH PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := call(t, "key", "add", "jill", path, "--socket", "/nonexistent")
	if code != 1 || !strings.Contains(stderr, "private key") {
		t.Errorf("code %d, stderr %q", code, stderr)
	}
}
