package imageconfig

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spearheadcloud/spearhead/model"
)

func base() model.ImageConfig {
	return model.ImageConfig{
		User: "app", WorkingDir: "/srv", Env: []string{"PATH=/bin", "N=1"}, Cmd: []string{"serve"},
		ExposedPorts: []string{"80/tcp"}, Labels: map[string]string{"a": "b"}, Volumes: []string{"/data"},
	}
}

func TestInstructions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text   string
		change func(*model.ImageConfig)
	}{
		{"", func(*model.ImageConfig) {}},
		{`CMD ["a", "b c"]`, func(c *model.ImageConfig) { c.Cmd = []string{"a", "b c"} }},
		{"CMD a $N", func(c *model.ImageConfig) { c.Cmd = []string{"/bin/sh", "-c", "a $N"} }},
		{`ENTRYPOINT ["x"]`, func(c *model.ImageConfig) { c.Entrypoint, c.Cmd = []string{"x"}, nil }},
		{"CMD y\nENTRYPOINT [\"x\"]", func(c *model.ImageConfig) { c.Entrypoint, c.Cmd = []string{"x"}, []string{"/bin/sh", "-c", "y"} }},
		{"ENTRYPOINT []", func(c *model.ImageConfig) { c.Entrypoint, c.Cmd = []string{}, nil }},
		{"env N=2 M=\"$N x\"", func(c *model.ImageConfig) { c.Env = []string{"PATH=/bin", "N=2", "M=1 x"} }},
		{"ENV K some words", func(c *model.ImageConfig) { c.Env = append(c.Env, "K=some words") }},
		{"EXPOSE 90 80 53/udp 7000-7001/tcp $N", func(c *model.ImageConfig) {
			c.ExposedPorts = []string{"1/tcp", "53/udp", "7000/tcp", "7001/tcp", "80/tcp", "90/tcp"}
		}},
		{`LABEL a=c "d e"='f g'`, func(c *model.ImageConfig) { c.Labels = map[string]string{"a": "c", "d e": "f g"} }},
		{"ONBUILD RUN make", func(c *model.ImageConfig) { c.OnBuild = []string{"RUN make"} }},
		{"STOPSIGNAL SIGKILL", func(c *model.ImageConfig) { c.StopSignal = "SIGKILL" }},
		{"STOPSIGNAL rtmin+3", func(c *model.ImageConfig) { c.StopSignal = "rtmin+3" }},
		{"USER 1000:$N", func(c *model.ImageConfig) { c.User = "1000:1" }},
		{"VOLUME /a /data", func(c *model.ImageConfig) { c.Volumes = []string{"/a", "/data"} }},
		{"WORKDIR sub", func(c *model.ImageConfig) { c.WorkingDir = "/srv/sub" }},
		{"WORKDIR /x/../y", func(c *model.ImageConfig) { c.WorkingDir = "/y" }},
		{"HEALTHCHECK --interval=5s --retries=2 CMD curl -f http://x", func(c *model.ImageConfig) {
			c.Healthcheck = &model.Healthcheck{Test: []string{"CMD-SHELL", "curl -f http://x"}, Interval: 5 * time.Second, Retries: 2}
		}},
		{"HEALTHCHECK NONE", func(c *model.ImageConfig) { c.Healthcheck = &model.Healthcheck{Test: []string{"NONE"}} }},
	} {
		want, from := base(), base()
		tc.change(&want)
		got, err := Apply(from, strings.Split(tc.text, "\n"))
		if err != nil {
			t.Errorf("%s: %v", tc.text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", tc.text, diff)
		}
		if diff := cmp.Diff(base(), from); diff != "" {
			t.Errorf("%s changed what it was given: %s", tc.text, diff)
		}
	}
}

func TestInstructionsThatCannotBe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"RUN rm -rf /":                         "run is not a valid change command",
		"FROM scratch":                         "from is not a valid change command",
		"CMD":                                  "", // an empty command is the shell's
		"ENV":                                  "ENV",
		"EXPOSE 0":                             "Invalid containerPort: 0",
		"EXPOSE 80/icmp":                       "Invalid containerPort: 80/icmp",
		"EXPOSE 9-8":                           "Invalid containerPort: 9-8",
		"STOPSIGNAL SIGNOTHING":                "Invalid signal: SIGNOTHING",
		"STOPSIGNAL 65":                        "Invalid signal: 65",
		"LABEL x=${y":                          "cannot apply",
		"HEALTHCHECK --x=1 CMD a":              "cannot apply",
		"ENV A=" + strings.Repeat("b", 70_000): "longer than",
	} {
		_, err := Apply(base(), []string{text})
		switch {
		case want == "" && err != nil, want != "" && err == nil:
			t.Errorf("%.40s: error %v", text, err)
		case err != nil && (!model.IsKind(err, model.KindInvalid) || !strings.Contains(err.Error(), want)):
			t.Errorf("%.40s: error %v, want %q", text, err, want)
		}
	}
}

func TestMergeFillsWhatIsOpen(t *testing.T) {
	t.Parallel()
	got := Merge(model.ImageConfig{Entrypoint: []string{"own"}, Env: []string{"N=9"}, Labels: map[string]string{"x": "y"}, Volumes: []string{"/own"}}, base())
	want := model.ImageConfig{
		User: "app", WorkingDir: "/srv", Entrypoint: []string{"own"}, Env: []string{"N=9", "PATH=/bin"},
		ExposedPorts: []string{"80/tcp"}, Labels: map[string]string{"a": "b", "x": "y"}, Volumes: []string{"/data", "/own"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzApply(f *testing.F) {
	for _, seed := range []string{"CMD a", `ENV a=b c="d`, "EXPOSE 1-65535", "HEALTHCHECK --interval=1s CMD x", "LABEL a=${b:-c}", "# escape=`\nCMD a", "ENV <<E\nx\nE"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		before := base()
		_, err := Apply(before, []string{text})
		if err != nil && !model.IsKind(err, model.KindInvalid) {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(base(), before); diff != "" {
			t.Errorf("%q changed what it was given", text)
		}
	})
}
