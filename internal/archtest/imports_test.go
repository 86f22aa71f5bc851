package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// importRule says which of our own packages the packages at and below one folder may
// import. The rule of the longest matching folder holds.
type importRule struct {
	folder  string
	allowed []string // folders, with all below them
	reason  string
}

const (
	leafReason   = "both halves of the data center stand on it, so it must not know either"
	driverReason = "drivers know nothing of each other, of raft or of HTTP: the agent joins them"
	pureReason   = "pure packages decide from their arguments alone, so that every head decides the same and tests need no machine"
	halfReason   = "head and agent are two halves that meet only in model and wire, so that either can change alone"
)

var importRules = []importRule{
	{"model", nil, "model holds plain nouns; everything may import it, so it imports nothing"},
	{"model/affinity", []string{"model"}, pureReason},
	{"model/fwrule", []string{"model"}, pureReason},
	{"internal", []string{"internal"}, "internal packages have no domain: they would drag it everywhere"},
	{"pki", []string{"pki", "model", "internal"}, leafReason},
	{"gossip", []string{"gossip", "model", "internal"}, leafReason},
	{"wire", []string{"wire", "model", "internal"}, leafReason},

	{"zfs", []string{"zfs", "model", "internal"}, driverReason},
	{"network", []string{"network", "model", "internal"}, driverReason},
	{"runtime", []string{"runtime", "model", "internal"}, driverReason},
	{"image", []string{"image", "model", "internal"}, driverReason},

	{"network/ipam", []string{"model"}, pureReason},
	{"runtime/ocispec", []string{"model"}, pureReason},
	{"headnode/policy", []string{"model"}, pureReason},
	{"headnode/placement", []string{"model"}, pureReason},
	{"headnode/imageconfig", []string{"model"}, pureReason},
	{"internal/logopt", []string{"model"}, pureReason},
	{"raftstore/command", []string{"model"}, pureReason},
	{"raftstore/state", []string{"model", "raftstore/command", "raftstore/tables"}, pureReason},
	{"raftstore/tables", nil, pureReason},

	{"raftstore", []string{"raftstore", "model", "pki", "internal"},
		"replicated state knows nothing of machines or front doors: they come to it"},
	{"agent", []string{"agent", "model", "wire", "gossip", "pki", "zfs", "network", "runtime", "image", "internal"}, halfReason},
	{"headnode", []string{"headnode", "model", "raftstore", "wire", "gossip", "pki", "network/ipam", "internal"}, halfReason},
	{"headnode/dockerapi", []string{"headnode/dockerapi", "model", "wire", "internal"},
		"the front door decodes, makes one call and encodes: it knows its role interfaces, not who fulfils them"},

	{"rack", []string{"rack", "model", "wire", "gossip", "pki", "zfs", "network", "runtime", "image", "agent", "raftstore", "headnode", "internal"},
		"the command line stands on the rack, not the other way round"},
}

// unruled folders may import anything of ours.
var unruled = []string{"cmd", "integration"}

// fence keeps an outside library behind some of our packages.
type fence struct {
	library string
	folders []string
	tests   bool // tests elsewhere may use it
	reason  string
}

var fences = []fence{
	{"github.com/vishvananda", []string{"network", "rack"}, true, "one place talks to the kernel's network"},
	{"github.com/google/nftables", []string{"network", "rack"}, true, "one place talks to the kernel's network"},
	{"github.com/miekg/dns", []string{"network/resolver", "agent/logship", "headnode/zones"}, true, "DNS's messages stay with those who ask or answer"},
	{"github.com/hashicorp/raft", []string{"raftstore"}, false, "whoever wants agreement proposes a command to raftstore"},
	{"github.com/hashicorp/raft-boltdb", []string{"raftstore"}, false, "the log is raftstore's own business"},
	{"github.com/google/btree", []string{"raftstore/tables"}, false, "readers use the view of raftstore/state"},
	{"github.com/hashicorp/memberlist", []string{"gossip"}, false, "membership is known through gossip alone"},
	{"github.com/opencontainers/runtime-spec", []string{"runtime"}, false, "OCI's words stay in runtime; the rest speaks model"},
	{"github.com/containerd/containerd", []string{"image"}, true, "containerd is how image works inside, not what it is"},
	{"github.com/urfave/cli", []string{"cmd"}, false, "only the command line knows that there is one"},
	{"github.com/pelletier/go-toml", []string{"cmd", "rack"}, false, "configuration files are read in cmd and mapped to the daemons' Config"},
	{"github.com/moby/moby/api", []string{"headnode/dockerapi"}, true, "Docker's JSON is converted at the door"},
	{"github.com/moby/moby/client", nil, true, "we serve Docker's API; only tests call it"},
	{"github.com/stretchr/testify", nil, false, "tests use the standard library and go-cmp"},
}

func TestOwnImports(t *testing.T) {
	t.Parallel()
	report(t, ownImportViolations(loadModule(t)))
}

func TestLibraryFences(t *testing.T) {
	t.Parallel()
	report(t, fenceViolations(loadModule(t)))
}

// ownImportViolations checks the files that are built into the program; what a test
// imports binds nobody.
func ownImportViolations(source tree) []string {
	var found []string
	for _, file := range source.files {
		if file.test || slices.ContainsFunc(unruled, func(folder string) bool { return within(file.pkg, folder) }) {
			continue
		}
		rule, ok := ruleOf(file.pkg)
		if !ok {
			found = append(found, fmt.Sprintf("%s: no import rule covers the folder %s: add one to importRules", file.name, file.pkg))
			continue
		}
		for _, imported := range file.imports() {
			target, ours := strings.CutPrefix(imported, module+"/")
			if !ours || slices.ContainsFunc(rule.allowed, func(folder string) bool { return within(target, folder) }) {
				continue
			}
			found = append(found, fmt.Sprintf("%s imports %s, but %s may import only %v: %s",
				file.name, target, rule.folder, rule.allowed, rule.reason))
		}
	}
	return found
}

// ruleOf finds the rule of the longest folder that holds pkg.
func ruleOf(pkg string) (importRule, bool) {
	var best importRule
	for _, rule := range importRules {
		if within(pkg, rule.folder) && len(rule.folder) > len(best.folder) {
			best = rule
		}
	}
	return best, best.folder != ""
}

func fenceViolations(source tree) []string {
	var found []string
	for _, file := range source.files {
		for _, imported := range file.imports() {
			for _, fence := range fences {
				if !within(imported, fence.library) || (file.test && fence.tests) {
					continue
				}
				if slices.ContainsFunc(fence.folders, func(folder string) bool { return within(file.pkg, folder) }) {
					continue
				}
				found = append(found, fmt.Sprintf("%s imports %s, which only %v may: %s",
					file.name, imported, fence.folders, fence.reason))
			}
		}
	}
	return found
}

func TestImportRulesCatchViolations(t *testing.T) {
	t.Parallel()
	bad := loadText(t, map[string]string{
		"agent/a.go":            "package agent\nimport _ \"" + module + "/headnode\"\n",
		"headnode/policy/p.go":  "package policy\nimport _ \"" + module + "/wire\"\n",
		"elsewhere/e.go":        "package elsewhere\n",
		"agent/b.go":            "package agent\nimport _ \"github.com/vishvananda/netlink\"\n",
		"headnode/raft_test.go": "package headnode\nimport _ \"github.com/hashicorp/raft\"\n",
	})
	if got := ownImportViolations(bad); len(got) != 3 {
		t.Errorf("own imports: %d violations of 3 found: %v", len(got), got)
	}
	if got := fenceViolations(bad); len(got) != 2 {
		t.Errorf("fences: %d violations of 2 found: %v", len(got), got)
	}
}
