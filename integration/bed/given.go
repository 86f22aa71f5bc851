package bed

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// GivenVariable is the environment variable with the path of a file that holds a Given as
// JSON. Tests then use that data center as their shared one, and bring none up.
const GivenVariable = "SPEARHEAD_TEST_BED"

// Given is a data center that stands already, such as one of real machines.
type Given struct {
	Binary string   // the program under test
	Image  string   // busybox, in a registry that the nodes reach
	Env    []string // DOCKER_HOST, DOCKER_CERT_PATH and DOCKER_TLS_VERIFY of the account dev, SPEARHEAD_SOCKET of a head
}

// mainGiven runs a package's tests in a data center that stands already.
func (s *Setting) mainGiven(m *testing.M, path string) int {
	text, err := os.ReadFile(path)
	var given Given
	if err == nil {
		err = json.Unmarshal(text, &given)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot learn of the data center to test:", err)
		return 1
	}
	s.Binary, s.given = given.Binary, true
	s.shared = &Bed{Image: given.Image, Env: append(CleanEnv(), given.Env...), binary: given.Binary}
	return m.Run()
}

// Elsewhere is a data center that stands already and is no rack, or a skip where there is none.
func (s *Setting) Elsewhere(t *testing.T) *Bed {
	t.Helper()
	if !s.given {
		t.Skip("needs a data center that stands already: make metal has one of real machines")
	}
	return s.shared
}
