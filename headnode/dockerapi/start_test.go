package dockerapi

import (
	"slices"
	"strings"
	"testing"

	"github.com/spearheadcloud/spearhead/model"
)

// TestStartWithAConfiguration holds what a HostConfig at the start of a
// container, which clients could send before 1.24, does: nothing where it says
// what there is, an update where that can be, and else a refusal that names
// the members.
func TestStartWithAConfiguration(t *testing.T) {
	t.Parallel()
	const create = `{"Image":"busybox","Cmd":["sleep","9"],"HostConfig":{"Memory":16777216,"Binds":["/a:/b"],"Links":["db:database"],
		"CapAdd":["NET_ADMIN"],"PortBindings":{"80/tcp":[{"HostPort":"80"}]},"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3}}}`
	for _, c := range []struct {
		version, body string
		status        int
		says          string
		calls         string
	}{
		{"/v1.20", ``, 204, "", "start"},
		{"/v1.20", `{}`, 204, "", "start"},
		{"/v1.20", `null`, 204, "", "start"},
		{"/v1.20", `{"Binds":null,"ContainerIDFile":"","LxcConf":[],"Privileged":false,"PortBindings":{},"Links":null,"PublishAllPorts":false,
			"Dns":null,"VolumesFrom":null,"NetworkMode":"","RestartPolicy":{"Name":"","MaximumRetryCount":0}}`, 204, "", "start"},
		{"/v1.23", `{"Binds":["/a:/b"],"Links":["db:database"],"CapAdd":["NET_ADMIN"],"NetworkMode":"bridge","Memory":16777216,
			"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3}}`, 204, "", "start"},
		{"/v1.23", `{"RestartPolicy":{"Name":"always"}}`, 204, "", "update start"},
		{"/v1.23", `{"restartpolicy":{"Name":"always"},"Memory":33554432,"MemorySwap":67108864}`, 204, "", "update start"},
		{"/v1.23", `{"Binds":["/a:/c"]}`, 400, "cannot change HostConfig.Binds of container", ""},
		{"/v1.23", `{"Privileged":true,"Memory":33554432,"Binds":["/c:/d"]}`, 400, "cannot change HostConfig.Binds, HostConfig.Privileged of container", ""},
		{"/v1.23", `{"LxcConf":[{"Key":"a","Value":"b"}]}`, 400, "HostConfig.LxcConf", ""},
		{"/v1.23", `{"Ulimits":[{"Name":"nofile","Soft":1,"Hard":1}]}`, 400, "HostConfig.Ulimits", ""},
		{"/v1.23", `{"Memory":"much"}`, 400, "HostConfig.Memory", ""},
		{"/v1.23", `{"Memory":5}`, 400, "6MB", ""},
		{"/v1.23", `{"Binds":[":/a"]}`, 400, "invalid volume specification", ""},
		{"/v1.23", `[]`, 400, "not a JSON object", ""},
		{"/v1.23", `{"Memory":1,"Memory":2}`, 400, "twice", ""},
		{"/v1.24", `{"Memory":33554432}`, 400, "removed in v1.24", ""},
		{"/v1.24", `{}`, 204, "", "start"},
		{"", `{}`, 204, "", "start"},
		{"", `null`, 204, "", "start"},
		{"", `{"Binds":null}`, 400, "removed in v1.24", ""},
	} {
		f := newFake()
		s := f.serve(t)
		id := made(t, s, create)
		status, answer := request(t, s, "POST", c.version+"/containers/"+id+"/start", c.body)
		calls := strings.Join(f.asked, " ")
		if status != c.status || !strings.Contains(answer, c.says) || calls != c.calls {
			t.Errorf("%s %s: %d %s, calls %q; want %d with %q and %q", c.version, c.body, status, answer, calls, c.status, c.says, c.calls)
		}
	}
}

func TestStartWithLimitsUpdatesThem(t *testing.T) {
	t.Parallel()
	f := newFake()
	s := f.serve(t)
	id := made(t, s, `{"Image":"busybox","Cmd":["sleep","9"],"HostConfig":{"Memory":16777216,"PidsLimit":-1}}`)
	if pids := f.created[0].Spec.Limits.Pids; pids != -1 {
		t.Errorf("a container without a limit of processes has one: %d", pids)
	}
	path := "/v1.22/containers/" + id + "/start"
	if status, answer := request(t, s, "POST", path, `{"Memory":33554432,"CpuShares":9,"RestartPolicy":{"Name":"always"}}`); status != 204 {
		t.Fatalf("%d %s", status, answer)
	}
	spec := f.containers[0].Spec
	if spec.Limits.Memory != 32<<20 || spec.Limits.CPUShares != 9 || spec.Restart != (model.RestartPolicy{Name: "always"}) {
		t.Errorf("%+v %+v", spec.Limits, spec.Restart)
	}
	if status, _ := request(t, s, "POST", path, `{"Privileged":true}`); status != 304 || slices.Contains(f.asked[2:], "update") {
		t.Errorf("of one that runs: %d after %v", status, f.asked)
	}
	if status, _ := request(t, s, "POST", "/v1.22/containers/none/start", `{"Privileged":true}`); status != 404 {
		t.Errorf("of one that is not there: %d", status)
	}
}
