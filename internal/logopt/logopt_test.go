package logopt

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	type m = map[string]string
	for _, c := range []struct {
		driver  string
		options m
		want    string // part of the error; "" is none
	}{
		{"", nil, ""},
		{"json-file", m{"max-size": "10m", "max-file": "3", "compress": "true", "labels": "a,b", "labels-regex": "^x", "env": "A", "env-regex": "B$", "tag": "{{.Name}}/{{upper .ID}}", "mode": "blocking"}, ""},
		{"json-file", m{"max-size": "-1"}, ""},
		{"json-file", m{"x": "1"}, "unknown log opt 'x' for json-file log driver"},
		{"json-file", m{"max-size": "ten"}, "invalid value for max-size: ten"},
		{"json-file", m{"max-size": "0"}, "max-size must be a positive number"},
		{"json-file", m{"max-file": "0"}, "max-file cannot be less than 1"},
		{"json-file", m{"max-file": "1001"}, "invalid value for max-file"},
		{"json-file", m{"compress": "true", "max-file": "2"}, "compress cannot be true when max-file is less than 2 or max-size is not set"},
		{"json-file", m{"compress": "perhaps"}, "invalid value for compress"},
		{"json-file", m{"env-regex": "("}, "invalid value for env-regex"},
		{"json-file", m{"mode": "non-blocking"}, "'mode' cannot be non-blocking"},
		{"json-file", m{"mode": "slow"}, "logger: logging mode not supported: slow"},
		{"json-file", m{"max-buffer-size": "4m"}, "logger: max-buffer-size option is only supported with 'mode=non-blocking'"},
		{"json-file", m{"tag": "{{.Nope}}"}, `there is no field "Nope"`},
		{"json-file", m{"tag": "{{"}, "invalid tag"},
		{"json-file", m{"tag": "{{range 1000000000}}x{{end}}"}, "not available"},
		{"json-file", m{"tag": `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`}, "it defines templates"},
		{"json-file", m{"tag": `{{call .ID}}`}, "not available"},
		{"local", m{"max-size": "1m", "max-file": "2"}, ""},
		{"local", m{"max-file": "1"}, "compression cannot be enabled when max file count is 1"},
		{"local", m{"max-file": "1", "compress": "false"}, ""},
		{"none", nil, ""},
		{"none", m{"max-size": "1m"}, "unknown log opt 'max-size' for none log driver"},
		{"journald", nil, "logger: no log driver named 'journald' is registered: there are fluentd, gelf, json-file, local, none, syslog"},
		{"syslog", nil, "syslog-address is a required parameter"},
		{"syslog", m{"syslog-address": "unix:///dev/log"}, "unsupported scheme: 'unix'"},
		{"syslog", m{"syslog-address": "http://h"}, "unsupported scheme: 'http'"},
		{"syslog", m{"syslog-address": "tcp://"}, "names no host"},
		{"syslog", m{"syslog-address": "tcp://h:0"}, "invalid port"},
		{"syslog", m{"syslog-address": "tcp://h/x"}, "path"},
		{"syslog", m{"syslog-address": "udp://h", "syslog-facility": "24"}, "invalid syslog facility"},
		{"syslog", m{"syslog-address": "udp://h", "syslog-format": "x"}, "Invalid syslog format"},
		{"syslog", m{"syslog-address": "udp://h", "labels": "a"}, "'labels' needs syslog-format=rfc5424"},
		{"syslog", m{"syslog-address": "udp://h", "labels": "a", "syslog-format": "rfc5424micro"}, ""},
		{"syslog", m{"syslog-address": "tcp+tls://h", "syslog-tls-key": "/etc/key"}, "log opt 'syslog-tls-key' is not supported"},
		{"syslog", m{"syslog-address": "tcp+tls://h", "syslog-tls-ca-cert": "/etc/ca"}, "PEM text"},
		{"syslog", m{"syslog-address": "tcp+tls://h", "syslog-tls-skip-verify": "true"}, ""},
		{"syslog", m{"syslog-address": "tcp://h", "cache-disabled": "true"}, "'cache-disabled' cannot be true"},
		{"syslog", m{"syslog-address": "tcp://h", "cache-max-file": "1"}, "'cache-max-file' must be 2 or more"},
		{"syslog", m{"syslog-address": "tcp://h", "mode": "blocking"}, "'mode' cannot be blocking"},
		{"syslog", m{"syslog-address": "tcp://h", "mode": "non-blocking", "max-buffer-size": "4m"}, ""},
		{"syslog", m{"syslog-address": "tcp://h", "mode": "non-blocking", "max-buffer-size": "4g"}, "more than the 80000000 bytes"},
		{"syslog", m{"syslog-address": "tcp://h", "max-size": "4m"}, "unknown log opt 'max-size' for syslog log driver"},
		{"gelf", nil, "gelf-address is a required parameter"},
		{"gelf", m{"gelf-address": "udp://h:1", "gelf-compression-type": "lz4"}, `unknown value "lz4"`},
		{"gelf", m{"gelf-address": "tcp://h:1", "gelf-compression-type": "gzip"}, "compression is only supported on UDP"},
		{"gelf", m{"gelf-address": "udp://h:1", "gelf-tcp-reconnect-delay": "1"}, "is only valid for TCP"},
		{"gelf", m{"gelf-address": "tcp://h:1", "gelf-tcp-reconnect-delay": "1"}, ""},
		{"fluentd", nil, "fluentd-address is a required parameter"},
		{"fluentd", m{"fluentd-address": "h"}, ""},
		{"fluentd", m{"fluentd-address": "h", "fluentd-async": "false"}, "'fluentd-async' cannot be false"},
		{"fluentd", m{"fluentd-address": "h", "fluentd-retry-wait": "soon"}, "invalid value for fluentd-retry-wait"},
		{"fluentd", m{"fluentd-address": "h", "fluentd-async-reconnect-interval": "1ms"}, "must be between 100ms and 10s"},
		{"fluentd", m{"fluentd-address": "h", "fluentd-buffer-limit": "1g"}, "more than the 80000000 bytes"},
		{"fluentd", m{"fluentd-address": "h", "fluentd-x": "1"}, "unknown log opt 'fluentd-x' for fluentd log driver"},
	} {
		err := Check(c.driver, c.options)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %v: %v, want %q", c.driver, c.options, err, c.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for driver, c := range map[string]struct {
		options map[string]string
		file    File
		server  string
	}{
		"":          {nil, File{MaxFiles: 1}, ""},
		"json-file": {map[string]string{"max-size": "10k"}, File{MaxSize: 10_000, MaxFiles: 1}, ""},
		"local":     {nil, File{MaxSize: 20_000_000, MaxFiles: 5, Compress: true}, ""},
		"syslog":    {map[string]string{"syslog-address": "udp://[fd00::1]"}, File{MaxSize: 20_000_000, MaxFiles: 5, Compress: true}, "[fd00::1]:514"},
		"gelf":      {map[string]string{"gelf-address": "udp://h", "cache-compress": "false"}, File{MaxSize: 20_000_000, MaxFiles: 5}, "h:12201"},
		"fluentd":   {map[string]string{"fluentd-address": "h", "cache-max-size": "1m"}, File{MaxSize: 1_000_000, MaxFiles: 5, Compress: true}, "h:24224"},
	} {
		got, err := Parse(driver, c.options)
		if err != nil {
			t.Errorf("%s: %v", driver, err)
			continue
		}
		if diff := cmp.Diff(c.file, got.File); diff != "" {
			t.Errorf("%s: %s", driver, diff)
		}
		server := ""
		switch {
		case got.Syslog != nil:
			server = got.Syslog.String()
		case got.GELF != nil:
			server = got.GELF.String()
		case got.Fluentd != nil:
			server = got.Fluentd.String()
		}
		if server != c.server || got.Remote() != (c.server != "") {
			t.Errorf("%s: server %q", driver, server)
		}
	}
}

// The page for users names every option.
func TestOptionsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/users/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, driver := range Drivers() {
		o := &opts{driver: driver, values: map[string]string{"syslog-address": "tcp://h", "gelf-address": "tcp://h", "fluentd-address": "h"}, seen: map[string]bool{}}
		if driver == None || driver == JSONFile || driver == Local {
			o.values = nil
		}
		for other := range o.values {
			if other != driver+"-address" {
				delete(o.values, other)
			}
		}
		if _, err := read(o); err != nil {
			t.Fatal(err)
		}
		for option := range o.seen {
			if !strings.Contains(string(page), "`"+option) {
				t.Errorf("docs/users/logs.md does not name %s", option)
			}
		}
	}
}

func subject() *Subject {
	return &Subject{
		ContainerID: strings.Repeat("0123456789abcdef", 4), ContainerName: "/web", ContainerEntrypoint: "nginx", ContainerArgs: []string{"-g", "x"},
		ContainerImageID: "sha256:" + strings.Repeat("fedcba9876543210", 4), ContainerImageName: "nginx:1", HostName: "web-1",
		ContainerEnv: []string{"A=1", "B=2", "both=env"}, ContainerLabels: map[string]string{"com.x": "3", "y": "4", "both": "label"},
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "0123456789ab",
		"plain":                              "plain",
		"{{.ID}}":                            "0123456789ab",
		"{{.FullID}}":                        strings.Repeat("0123456789abcdef", 4),
		"{{.Name}}/{{.ImageName}}":           "web/nginx:1",
		"{{.ImageID}}":                       "fedcba987654",
		"{{.Command}}":                       "nginx -g x",
		"{{.Hostname}}":                      "web-1",
		"{{truncate .Name 2}}":               "we",
		"{{.Name | upper | printf \"%s!\"}}": "WEB!",
		`{{join (split "a b" " ") "-"}}{{pad "" 9 9}}`: "a-b",
		`{{json .ContainerArgs}}`:                      `["-g","x"]`,
		`{{title "one two"}}`:                          "One Two",
		`{{index .ContainerLabels "com.x"}}`:           "3",
		`{{if .Name}}n{{else}}no{{end}}`:               "n",
	} {
		c, err := Parse(JSONFile, map[string]string{"tag": text})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := c.Tag(subject()); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	c, err := Parse(JSONFile, map[string]string{"labels": "y,both,none", "labels-regex": `^com\.`, "env": "A,both", "env-regex": "^B$", "tag": "t"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Details(subject())
	want := map[string]string{"A": "1", "B": "2", "both": "env", "com.x": "3", "y": "4", "tag": "t"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// FuzzTag runs whatever is accepted: it must end soon and stay small.
func FuzzTag(f *testing.F) {
	for _, text := range []string{"{{.ID}}", `{{$x := print .Command .Command}}{{$x}}`, `{{printf "%999999d" 1}}`, `{{pad "a" 1000000000 1}}`, `{{join (split .FullID "") .FullID}}`, `{{range 10}}{{end}}`, "{{/* c */}}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(JSONFile, map[string]string{"tag": text})
		if err != nil {
			return
		}
		tag, _ := c.Tag(subject())
		if len(tag) > maxValue {
			t.Errorf("a tag of %d bytes", len(tag))
		}
	})
}

func TestLogsWithoutABoundGetTheNodes(t *testing.T) {
	t.Parallel()
	bound, err := ParseBound("100m", 5)
	if err != nil || bound != (File{MaxSize: 100_000_000, MaxFiles: 5}) {
		t.Fatalf("%+v %v", bound, err)
	}
	none, err := ParseBound("unlimited", 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		driver  string
		options map[string]string
		want    File
	}{
		{JSONFile, nil, bound},
		{JSONFile, map[string]string{"max-size": "-1"}, bound},
		{JSONFile, map[string]string{"max-file": "3"}, File{MaxSize: 100_000_000, MaxFiles: 3}},
		{JSONFile, map[string]string{"max-size": "1m"}, File{MaxSize: 1_000_000, MaxFiles: 1}},
		{Local, nil, kept},
		{Local, map[string]string{"max-size": "-1"}, File{MaxSize: 100_000_000, MaxFiles: 5}},
	} {
		config, err := Parse(c.driver, c.options)
		if err != nil {
			t.Fatal(err)
		}
		if got := config.File.Within(bound); got != c.want {
			t.Errorf("%s %v: %+v, want %+v", c.driver, c.options, got, c.want)
		}
		if got := config.File.Within(none); got != config.File {
			t.Errorf("%s %v on a node without a bound: %+v", c.driver, c.options, got)
		}
	}
	for _, bad := range []struct {
		size  string
		files int
	}{{"", 5}, {"-1", 5}, {"0", 5}, {"lots", 5}, {"1m", 0}, {"1m", 1001}} {
		if f, err := ParseBound(bad.size, bad.files); err == nil {
			t.Errorf("%+v: %+v", bad, f)
		}
	}
}
