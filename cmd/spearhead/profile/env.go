package profile

import (
	"fmt"
	"regexp"
	"strings"
)

// env is the text that points a shell's docker, and spearhead's own commands, at a data center
// as the profile of that name. certFolder holds ca.pem, cert.pem and key.pem; host is docker's
// form of the address, tcp://HOST:PORT.
func env(name, host, certFolder string) string {
	var lines strings.Builder
	for _, variable := range []struct{ name, value string }{
		{"DOCKER_HOST", host},
		{"DOCKER_CERT_PATH", certFolder},
		{"DOCKER_TLS_VERIFY", "1"},
		{"SPEARHEAD_PROFILE", name},
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
		return "", noCertificate(p.Name)
	}
	host, err := dockerHost(p.URL)
	if err != nil {
		return "", err
	}
	return env(p.Name, host, s.folder(p.Name)), nil
}

// dockerHost is the form of an endpoint that docker takes.
func dockerHost(rawURL string) (string, error) {
	u, err := endpoint(rawURL)
	if err != nil {
		return "", err
	}
	return "tcp://" + u.Host, nil
}
