package containers_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/headnode/headtest"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/raftstore/command"
)

func TestPublishAllPublishesWhatOnlyTheImageExposes(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	a := c.Account("jill", model.PolicyTenant)
	pull(t, c, a)
	r := request("web")
	r.Spec.Ports = []model.Port{{Number: 53, Protocol: "udp"}}
	if diff := cmp.Diff([]model.Port{{Number: 53, Protocol: "udp"}, {Number: 80, Protocol: "tcp"}}, create(t, c, a, r).Spec.Ports); diff != "" {
		t.Errorf("without publishing all: %s", diff)
	}
	r.Name, r.PublishAll = "all", true
	want := []model.Port{{Number: 53, Protocol: "udp", Published: true}, {Number: 80, Protocol: "tcp", Published: true}}
	if diff := cmp.Diff(want, create(t, c, a, r).Spec.Ports); diff != "" {
		t.Errorf("publishing all: %s", diff)
	}
	if r.Spec.Ports[0].Published {
		t.Error("the caller's request was changed")
	}
}

func TestRecordsAreBounded(t *testing.T) {
	t.Parallel()
	c := headtest.New(t, 1)
	ctx, a := headtest.Context(t), c.Account("jill", model.PolicyTrusted)
	pull(t, c, a)
	binds, err := json.Marshal(map[string]any{"HostConfig": map[string]any{"Binds": []string{strings.Repeat("b", 400<<10)}}})
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	for i := range 200 {
		labels[string(rune('A'+i%26))+strings.Repeat("x", i)] = strings.Repeat("l", 3<<10)
	}
	for field, spec := range map[string]model.CreateContainer{
		"Cmd":              {Spec: model.ContainerSpec{Cmd: []string{"sh", strings.Repeat("c", 600<<10)}}},
		"Entrypoint":       {Spec: model.ContainerSpec{Entrypoint: strings.SplitAfter(strings.Repeat("e ", 300<<10), " ")}},
		"Labels":           {Spec: model.ContainerSpec{Labels: labels}},
		"HostConfig.Binds": {DockerRequest: binds},
	} {
		spec.Spec.Image = "busybox"
		before := c.Store.AppliedIndex()
		_, _, err := c.Containers.Create(ctx, a, spec)
		wantKind(t, err, model.KindTooLarge, "the largest field is "+field+" with")
		if c.Store.AppliedIndex() != before {
			t.Errorf("a request with a large %s was written to the log", field)
		}
	}

	// What is allowed fits into the bound with all that the head adds.
	r := request("large")
	r.Spec.Cmd = []string{"sh", "-c", strings.Repeat("x", 500<<10)}
	made := create(t, c, a, r)
	entry, err := command.Encode(command.Entry{Command: command.ReserveContainer{Container: made}})
	if err != nil {
		t.Fatal(err)
	}
	if len(entry) > 512<<10 {
		t.Errorf("the entry has %d bytes", len(entry))
	}
}
