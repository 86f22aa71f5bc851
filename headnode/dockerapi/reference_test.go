package dockerapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
)

// referenceFile is what users read. TestReference writes all of it.
const referenceFile = "../../docs/users/docker-api.md"

const referenceHead = `# Docker's API, endpoint by endpoint and field by field

Written by a test from the server itself (TestReference of headnode/dockerapi, run with -update): each endpoint below was asked, and a
container was asked for with each field, at every version of the API from %s to %s. A field that is *done* reached what the container
is made from; nothing is ignored in silence.

- **done**: works.
- **501**: refused, and the error names it. The endpoint or field is known and not there yet.
- **400**: refused for every value that was tried; it means nothing on Linux, or another field is meant for it.
- **asks for nothing**: taken, and without effect; the reason stands beside it.
- **tenants: 403**: an account that its operator has not made *trusted* is refused the value that is shown.
- **before 1.N**: what is otherwise for clients that speak an older version.
`

// TestReference holds that docs/users/docker-api.md says what is.
func TestReference(t *testing.T) {
	t.Parallel()
	var doc bytes.Buffer
	fmt.Fprintf(&doc, referenceHead, compat.Oldest, compat.Newest)
	doc.WriteString("\n## Endpoints\n\n| endpoint | state |\n|---|---|\n")
	for _, line := range endpointLines(t) {
		doc.WriteString(line + "\n")
	}
	doc.WriteString("\n## What create takes\n\n`[]` is an element of a list, `[*]` one of an object whose keys are the user's.\n\n" +
		"| field | state | tenants |\n|---|---|---|\n")
	for _, line := range fieldLines(t) {
		doc.WriteString(line + "\n")
	}
	doc.WriteString("\n## Older clients\n\nWhich fields of answers came and went with which version is in headnode/dockerapi/testdata/golden, a file for each route. Besides:\n\n")
	for _, line := range oldFormLines(t) {
		doc.WriteString(line + "\n")
	}
	if *update {
		if err := os.WriteFile(referenceFile, doc.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(doc.String(), "\n")); diff != "" {
		t.Errorf("%s is not what the server does; if the change is meant, run with -update:\n%s", referenceFile, diff)
	}
}

// fieldLines is the table of fields.
func fieldLines(t *testing.T) []string {
	t.Helper()
	var lines []string
	c := newCreator()
	noted := map[string]bool{}
	for _, field := range createFields() {
		now := c.try(t, compat.Newest, field)
		edges := edgesOf(func(v compat.Version) state { return c.try(t, v, field).state })
		key, note := noteOf(field)
		noted[key] = true
		checkNote(t, field, now, note)
		text := stateText(now)
		if note != "" && now.state != stateDone {
			text += ": " + note
		}
		for _, e := range slices.Backward(edges) {
			text += fmt.Sprintf("; before %s: %s", e.version, e.before)
		}
		tenants := ""
		if now.tenants {
			tenants = "403"
		}
		value, err := json.Marshal(sampleOf(field).value)
		if err != nil {
			t.Fatal(err)
		}
		if tenants != "" {
			tenants += " for `" + string(value) + "`"
		}
		lines = append(lines, fmt.Sprintf("| `%s` | %s | %s |", field, text, tenants))
	}
	for key := range fieldNotes {
		if !noted[key] {
			t.Errorf("the note on %q is about no field", key)
		}
	}
	return lines
}

func stateText(o outcome) string {
	switch {
	case o.state != stateRefused:
		return string(o.state)
	case strings.HasPrefix(o.text, "{"):
		return "400"
	}
	return "501"
}

// checkNote holds that what has no effect says why, and that a refusal names
// the field.
func checkNote(t *testing.T, field string, o outcome, note string) {
	t.Helper()
	switch {
	case o.state == stateNothing && note == "":
		t.Errorf("%s is ignored: do it, refuse it, or say in fieldNotes why it asks for nothing", field)
	case o.state == stateDone && note != "":
		t.Errorf("%s is done: the note %q is not true any more", field, note)
	case o.state == stateRefused && !namesField(o.text, field):
		t.Errorf("%s is refused with a text that does not name it: %s", field, o.text)
	}
}

// namesField reports whether a refusal names the field or what holds it.
func namesField(text, field string) bool {
	steps := strings.Split(field, ".")
	return slices.ContainsFunc(steps[min(1, len(steps)-1):], func(step string) bool {
		return strings.Contains(text, strings.TrimRight(step, "[]*"))
	})
}

// noteOf finds the note on a field, or on what holds it.
func noteOf(field string) (key, note string) {
	for at := field; at != ""; {
		if note, ok := fieldNotes[at]; ok {
			return at, note
		}
		i := strings.LastIndex(at, ".")
		if i < 0 {
			break
		}
		at = at[:i]
	}
	return "", ""
}

// fieldNotes say why a field is not done.
var fieldNotes = map[string]string{
	"AttachStdin":  "it tells clients what they attached to, and is kept for them",
	"AttachStdout": "as AttachStdin",
	"AttachStderr": "as AttachStdin",
	"ArgsEscaped":  "it is for Windows",
	"OnBuild":      "it is for builds of images from this one, as with Docker",

	"HostConfig.ContainerIDFile":                          "the file is the client's",
	"HostConfig.Mounts[].Consistency":                     "it means nothing on Linux, as with Docker",
	"HostConfig.Mounts[].VolumeOptions.DriverConfig.Name": "there is one driver, of several names; others are refused",

	ends + "NetworkID":           "it tells of a container that there was before, as with Docker",
	ends + "EndpointID":          "as NetworkID",
	ends + "Gateway":             "as NetworkID",
	ends + "IPAddress":           "as NetworkID; an address is asked for with IPAMConfig",
	ends + "IPPrefixLen":         "as NetworkID",
	ends + "IPv6Gateway":         "as NetworkID",
	ends + "GlobalIPv6Address":   "as NetworkID",
	ends + "GlobalIPv6PrefixLen": "as NetworkID",
	ends + "DNSNames":            "as NetworkID",
}
