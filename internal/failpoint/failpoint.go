package failpoint

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
)

// Variable is the environment variable that arms failpoints. It is read once, at the first
// Hit of the process.
const Variable = "FAILPOINTS"

// armed maps the name of a place to its action.
var armed = sync.OnceValues(func() (map[string]string, error) {
	return parse(os.Getenv(Variable))
})

// Hit does what FAILPOINTS says about the place called name, and nothing when it says
// nothing. Safe for concurrent use.
func Hit(name string) error {
	actions, err := armed()
	if err != nil {
		return err
	}
	switch actions[name] {
	case "error":
		return fmt.Errorf("failpoint %s is armed", name)
	case "panic":
		panic("failpoint " + name + " is armed")
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way; no step may follow
	}
	return nil
}

// parse reads a comma-separated list of name=action.
func parse(value string) (map[string]string, error) {
	actions := make(map[string]string)
	for item := range strings.SplitSeq(value, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		name, action, found := strings.Cut(item, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("cannot read %s: %q is not name=action", Variable, item)
		}
		switch action {
		case "error", "panic", "kill":
			actions[name] = action
		default:
			return nil, fmt.Errorf("cannot read %s: %q: the action is error, panic or kill", Variable, item)
		}
	}
	return actions, nil
}
