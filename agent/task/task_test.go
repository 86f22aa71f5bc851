package task

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
)

func TestHostsFileNamesTheContainer(t *testing.T) {
	t.Parallel()
	c := &model.Container{
		ID: "c",
		Spec: model.ContainerSpec{
			Hostname: "web", Domainname: "example.org",
			ExtraHosts: []string{"db:10.0.0.9", "six:2001:db8::1", "out:host-gateway"},
		},
		NICs: []model.NIC{{Address: netip.MustParsePrefix("10.0.0.5/24"), Gateway: netip.MustParseAddr("10.0.0.1"), Primary: true}},
	}
	c.Spec.Links = []model.Link{{Name: "db1", Alias: "db", Hosts: []string{"db", "f00"}, Address: "10.0.0.7"}}
	data, err := hostsFile(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"10.0.0.7\tdb f00 db1", "127.0.0.1\tlocalhost", "10.0.0.9\tdb", "2001:db8::1\tsix", "10.0.0.1\tout", "10.0.0.5\tweb.example.org web"} {
		if !strings.Contains(string(data), line+"\n") {
			t.Errorf("the hosts file lacks %q:\n%s", line, data)
		}
	}
	c.Spec.Hostname, c.Spec.Domainname = "api.shop.example.org", ""
	if data, err := hostsFile(c); err != nil || !strings.HasSuffix(string(data), "10.0.0.5\tapi.shop.example.org api\n") {
		t.Errorf("with a full name as its host name: %v\n%s", err, data)
	}
	c.NICs = nil
	if _, err := hostsFile(c); !model.IsKind(err, model.KindInvalid) {
		t.Errorf("host-gateway without a gateway: %v", err)
	}
}

func TestLinksAddToTheEnvironment(t *testing.T) {
	t.Parallel()
	spec := &model.ContainerSpec{
		Env:   []string{"DB_NAME=mine"},
		Links: []model.Link{{Alias: "db", Env: []string{"DB_NAME=/c/db", "DB_PORT=tcp://10.0.0.7:5432"}}},
	}
	want := []string{"DB_NAME=/c/db", "DB_PORT=tcp://10.0.0.7:5432", "DB_NAME=mine"} // the last one holds
	if diff := cmp.Diff(want, linkedSpec(spec).Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if len(spec.Env) != 1 {
		t.Errorf("the container's own specification has become %v", spec.Env)
	}
}

func TestResolvConf(t *testing.T) {
	t.Parallel()
	networks := []model.Network{{Resolvers: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}}
	for _, test := range []struct {
		spec model.ContainerSpec
		want string
	}{
		{model.ContainerSpec{}, "nameserver 127.0.0.11\noptions ndots:0\n"},
		{model.ContainerSpec{DNS: []string{"9.9.9.9"}, DNSSearch: []string{"a", "b"}, DNSOptions: []string{"ndots:2"}}, "# ExtServers: [9.9.9.9]\nnameserver 127.0.0.11\nsearch a b\noptions ndots:2\n"},
		{model.ContainerSpec{DNSSearch: []string{"."}}, "nameserver 127.0.0.11\noptions ndots:0\n"},
	} {
		if diff := cmp.Diff(test.want, string(resolvConfFile(&test.spec, networks))); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.spec.DNS, diff)
		}
	}
	alone := model.ContainerSpec{DNS: []string{"9.9.9.9"}, DNSSearch: []string{"."}, DNSOptions: []string{"ndots:2"}, Network: "host"}
	if diff := cmp.Diff("nameserver 9.9.9.9\noptions ndots:2\n", string(resolvConfFile(&alone, nil))); diff != "" {
		t.Errorf("in the machine's network (-want +got):\n%s", diff)
	}
	path := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# made by hand\nnameserver 127.0.0.53\nnameserver 10.1.1.1\nsearch lan\noptions edns0 trust-ad\nbroken\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := readResolvConf(path, false); cmp.Diff([]string{"10.1.1.1"}, got.servers) != "" || len(got.options) != 2 {
		t.Errorf("the machine's file is read as %+v", got)
	}
	if got := readResolvConf(path, true); len(got.servers) != 2 {
		t.Errorf("with the machine's own network the file is read as %+v", got)
	}
}

func TestExitCodesOfFailedStarts(t *testing.T) {
	t.Parallel()
	for text, code := range map[string]int{
		`exec: "x": executable file not found in $PATH`:  127,
		`exec: "/x": stat /x: no such file or directory`: 127,
		`exec: "/etc": permission denied`:                126,
		`exec: "/etc": is a directory`:                   126,
		`cannot join network of a non running container`: 128,
	} {
		if got := exitCodeOf(model.Errorf(model.KindInvalid, "%s", text)); got != code {
			t.Errorf("%s: exit code %d, want %d", text, got, code)
		}
	}
	if err := startFailure(fmt.Errorf("open /var/lib/secret: %w", os.ErrNotExist)); strings.Contains(model.UserText(err), "/var") {
		t.Errorf("the user reads %q", model.UserText(err))
	}
}

func TestWhoIsRestarted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		policy         model.RestartPolicy
		code, restarts int
		want           bool
	}{
		{model.RestartPolicy{}, 1, 0, false},
		{model.RestartPolicy{Name: "no"}, 1, 0, false},
		{model.RestartPolicy{Name: "always"}, 0, 1000, true},
		{model.RestartPolicy{Name: "unless-stopped"}, 0, 0, true},
		{model.RestartPolicy{Name: "on-failure"}, 0, 0, false},
		{model.RestartPolicy{Name: "on-failure"}, 1, 1000, true},
		{model.RestartPolicy{Name: "on-failure", MaxRetries: 3}, 1, 2, true},
		{model.RestartPolicy{Name: "on-failure", MaxRetries: 3}, 1, 3, false},
	} {
		if got := wantsRestart(test.policy, test.code, test.restarts); got != test.want {
			t.Errorf("%+v after code %d and %d restarts: %t", test.policy, test.code, test.restarts, got)
		}
	}
}
