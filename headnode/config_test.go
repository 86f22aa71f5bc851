package headnode

import (
	"strings"
	"testing"
)

func TestLogDriversOfAConfiguration(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]string{
		"": "", "json-file": "", "json-file none gelf": "",
		"none gelf":        "logs.drivers lacks json-file",
		"json-file splunk": `logs.drivers names "splunk"`,
	} {
		c := Config{
			Name: "h", StateDir: "/s", Socket: "/s/socket", DockerListen: ":1", RaftListen: ":2", PeerListen: ":4", GossipListen: ":3",
			Advertise: []string{"h"}, LogDrivers: strings.Fields(names),
		}
		err := c.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", names, err, want)
		}
	}
}
