package profile

import (
	"fmt"
	"regexp"
	"strings"
)

// Env is the text that points a shell's docker at a data center. certFolder holds ca.pem,
// cert.pem and key.pem; host is docker's form of the address, tcp://HOST:PORT.
func Env(host, certFolder string) string {
	var lines strings.Builder
	for _, variable := range []struct{ name, value string }{
		{"DOCKER_HOST", host},
		{"DOCKER_CERT_PATH", certFolder},
		{"DOCKER_TLS_VERIFY", "1"},
	} {
		fmt.Fprintf(&lines, "export %s=%s\n", variable.name, Quote(variable.value))
	}
	lines.WriteString("unset DOCKER_CONTEXT\n")
	return lines.String()
}

// plainWord means nothing but itself to a shell.
var plainWord = regexp.MustCompile(`^[a-zA-Z0-9_./:@%+-]+$`)

// Quote makes one word of any text, for every POSIX shell. Plain words stay as they are.
func Quote(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// Env is the text that points a shell's docker at the profile's data center.
func (s Store) Env(p Profile) (string, error) {
	if !s.Ready(p) {
		return "", fmt.Errorf("profile %s has no certificate yet: make it with: spearhead profile docker-setup %s", p.Name, p.Name)
	}
	host, err := dockerHost(p.URL)
	if err != nil {
		return "", err
	}
	return Env(host, s.folder(p.Name)), nil
}

// dockerHost is the form of an endpoint that docker takes.
func dockerHost(rawURL string) (string, error) {
	u, err := endpoint(rawURL)
	if err != nil {
		return "", err
	}
	return "tcp://" + u.Host, nil
}
