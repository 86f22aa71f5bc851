package runtime_test

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/internal/logopt"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/runtime/jsonlog"
)

func TestLogFileIsDockers(t *testing.T) {
	n := newNode(t)
	spec := sh(`printf 'tab\there <&> "q" \\ \377\n'; echo err >&2; printf 'no end'`)
	id := n.create(spec)
	n.start(id, spec)
	n.waitExit(id)
	b, err := os.ReadFile(filepath.Join(n.cfg.StateDir, "containers", id, "json.log"))
	if err != nil {
		t.Fatal(err)
	}
	when := regexp.MustCompile(`"time":"20[0-9-]+T[0-9:.]+Z"`)
	got := when.ReplaceAllString(string(b), `"time":T`)
	for _, want := range []string{
		`{"log":"tab\u0009here \u003c\u0026\u003e \"q\" \\ \ufffd\n","stream":"stdout","time":T,"raw":"dGFiCWhlcmUgPCY+ICJxIiBcIP8K"}` + "\n",
		`{"log":"err\n","stream":"stderr","time":T}` + "\n",
		`{"log":"no end","stream":"stdout","time":T}` + "\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("log lacks %s\nin %s", want, got)
		}
	}
}

func TestLongLinesAreCutAt16KiB(t *testing.T) {
	n := newNode(t)
	spec := sh("dd if=/dev/zero bs=40000 count=1 2>/dev/null; echo; echo next")
	id := n.create(spec)
	n.start(id, spec)
	n.waitExit(id)
	b, _ := os.ReadFile(filepath.Join(n.cfg.StateDir, "containers", id, "json.log"))
	var sizes []int
	for line := range strings.Lines(string(b)) {
		var e jsonlog.Entry
		if !jsonlog.Parse([]byte(line), &e) {
			t.Fatalf("%.100q is no line", line)
		}
		sizes = append(sizes, len(e.Text))
	}
	if len(sizes) != 4 || sizes[0] != 16384 || sizes[1] != 16384 || sizes[2] != 40000-2*16384+1 || sizes[3] != 5 {
		t.Fatalf("pieces of %v bytes", sizes)
	}
	if out, _ := n.logs(id, runtime.LogOptions{Stdout: true, Tail: -1}); len(out) != 40006 {
		t.Fatalf("%d bytes came back", len(out))
	}
}

func TestLogSelection(t *testing.T) {
	n := newNode(t)
	spec := sh("for i in 1 2 3 4; do echo out$i; echo err$i >&2; usleep 30000; done")
	id := n.create(spec)
	n.start(id, spec)
	n.waitExit(id)
	all := runtime.LogOptions{Stdout: true, Stderr: true, Tail: -1}
	if out, errOut := n.logs(id, all); out != "out1\nout2\nout3\nout4\n" || errOut != "err1\nerr2\nerr3\nerr4\n" {
		t.Fatalf("%q %q", out, errOut)
	}
	o := all
	o.Tail = 2
	if out, errOut := n.logs(id, o); out != "out4\n" || errOut != "err4\n" {
		t.Fatalf("tail: %q %q", out, errOut)
	}
	o = all
	o.Timestamps = true
	stamped, _ := n.logs(id, o)
	var stamps []time.Time
	for line := range strings.Lines(stamped) {
		at, text, _ := strings.Cut(line, " ")
		when, err := time.Parse("2006-01-02T15:04:05.000000000Z", at)
		if err != nil || !strings.HasPrefix(text, "out") {
			t.Fatalf("line %q: %v", line, err)
		}
		stamps = append(stamps, when)
	}
	o = all
	o.Since, o.Until = stamps[1], stamps[2]
	if out, _ := n.logs(id, o); out != "out2\nout3\n" {
		t.Fatalf("since and until: %q", out)
	}
	o = all
	o.Stderr = false
	if _, errOut := n.logs(id, o); errOut != "" {
		t.Fatalf("stderr was not asked for: %q", errOut)
	}
}

func TestFollowEndsWithTheContainer(t *testing.T) {
	n := newNode(t)
	spec := sh("seq 1 3000; read a; seq 3001 6000")
	spec.OpenStdin, spec.StdinOnce = true, true
	spec.Log.Options = map[string]string{"max-size": "20k", "max-file": "50"} // many rotations, none lost
	id := n.create(spec)
	n.start(id, spec)
	r, err := n.Logs(n.ctx, id, runtime.LogOptions{Stdout: true, Follow: true, Tail: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	io.ReadFull(r, make([]byte, 0))
	s := n.attach(id, runtime.AttachOptions{Stdin: true})
	io.WriteString(s, "go\n")
	out, _ := n.read(r, false)
	if last, lines := numbers(t, out), strings.Count(out, "\n"); last != 6000 || lines != 6000 {
		t.Fatalf("%d lines, the last is %d", lines, last)
	}
	n.waitExit(id)
	files, _ := filepath.Glob(filepath.Join(n.cfg.StateDir, "containers", id, "json.log*"))
	if len(files) < 5 {
		t.Fatalf("no rotation: %v", files)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Size() > 20_000 {
			t.Errorf("%s has %d bytes", f, st.Size())
		}
	}
	if tail, _ := n.logs(id, runtime.LogOptions{Stdout: true, Tail: 500}); strings.Count(tail, "\n") != 500 || numbers(t, tail) != 6000 {
		t.Fatalf("tail over files has %d lines", strings.Count(tail, "\n"))
	}
	n.remove(id)
}

// A log is read across compressed files, whatever bytes it holds.
func TestLogOfBytesAndDetails(t *testing.T) {
	n := newNode(t)
	spec := sh("seq 1 20000; printf '\\377\\000\\n\\303'; sleep 0.3; printf '\\251x'; dd if=/bin/busybox bs=100000 count=1 2>/dev/null")
	spec.Log.Driver = "local"
	spec.Log.Options = map[string]string{"max-size": "100k", "max-file": "100"}
	id := n.create(spec)
	n.start(id, spec)
	n.waitExit(id)
	program, err := os.ReadFile(filepath.Join(n.rootfs, "bin/busybox"))
	if err != nil {
		t.Fatal(err)
	}
	out, _ := n.logs(id, runtime.LogOptions{Stdout: true, Tail: -1})
	numbers, rest, _ := strings.Cut(out, "\n20000\n")
	if strings.Count(numbers, "\n") != 19998 || rest != "\xff\x00\n\xc3\xa9x"+string(program[:100_000]) {
		t.Errorf("%d lines, and then %d other bytes than were written", strings.Count(numbers, "\n"), len(rest))
	}
	o := runtime.LogOptions{Stdout: true, Tail: -1, Details: true, Timestamps: true, Attributes: map[string]string{"b": "2 &", "a": "1"}}
	out, _ = n.logs(id, o)
	if _, text, _ := strings.Cut(out, " "); !strings.HasPrefix(text, "a=1,b=2+%26 1\n") {
		t.Errorf("details: %.100q", out)
	}
}

func TestOldLogFilesGo(t *testing.T) {
	n := newNode(t)
	spec := sh("seq 1 5000")
	spec.Log.Options = map[string]string{"max-size": "10k", "max-file": "2"}
	id := n.create(spec)
	n.start(id, spec)
	n.waitExit(id)
	files, _ := filepath.Glob(filepath.Join(n.cfg.StateDir, "containers", id, "json.log*"))
	if len(files) != 2 {
		t.Fatalf("files: %v", files)
	}
	if out, _ := n.logs(id, runtime.LogOptions{Stdout: true, Tail: -1}); numbers(t, out) != 5000 {
		t.Fatal("the newest lines are not there")
	}
}

// TestLogsWithoutABoundDoNotFillTheNode holds that the node's bound is for
// containers that ask for none, and only for these.
func TestLogsWithoutABoundDoNotFillTheNode(t *testing.T) {
	n := newNode(t)
	n.cancel()
	n.Close()
	n.cfg.Logs = logopt.File{MaxSize: 10_000, MaxFiles: 3}
	n.open()
	for options, want := range map[string]int{"": 3, "1m": 1} {
		spec := sh("seq 1 5000")
		if options != "" {
			spec.Log.Options = map[string]string{"max-size": options}
		}
		id := n.create(spec)
		n.start(id, spec)
		n.waitExit(id)
		files, _ := filepath.Glob(filepath.Join(n.LogDir(id), "json.log*"))
		if len(files) != want {
			t.Errorf("max-size %q: files %v, want %d", options, files, want)
		}
	}
}

func TestAttachWithLogsHasNoGapAndNoRepetition(t *testing.T) {
	n := newNode(t)
	spec := sh("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo $i; done; printf 2001; usleep 1000; echo")
	id := n.create(spec)
	n.start(id, spec)
	s := n.attach(id, runtime.AttachOptions{Logs: true, Stream: true, Stdout: true})
	out, _ := n.read(s, false)
	if last, lines := numbers(t, out), strings.Count(out, "\n"); last != 2001 || lines != 2001 {
		t.Fatalf("%d lines, the last is %d", lines, last)
	}
}

func TestNoLog(t *testing.T) {
	n := newNode(t)
	spec := sh("echo hello")
	spec.Log.Driver = "none"
	id := n.create(spec)
	s := n.attach(id, runtime.AttachOptions{Stdout: true})
	n.start(id, spec)
	if out, _ := n.read(s, false); out != "hello\n" {
		t.Fatalf("got %q", out)
	}
	if _, err := n.Logs(n.ctx, id, runtime.LogOptions{Tail: -1}); !model.IsKind(err, model.KindNotImplemented) {
		t.Fatalf("logs: %v", err)
	}
	bad := sh("true")
	bad.Log.Options = map[string]string{"lines": "x"} // Docker has no such option
	if err := n.Register(n.ctx, model.NewID(), bad); !model.IsKind(err, model.KindInvalid) {
		t.Fatalf("unknown option: %v", err)
	}
}

func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	n := newNode(t)
	spec := sh("dd if=/dev/zero bs=65536 count=400 2>/dev/null") // 25 MiB
	spec.Log.Driver = "none"
	id := n.create(spec)
	lazy := n.attach(id, runtime.AttachOptions{Stdout: true})
	defer lazy.Close()
	n.start(id, spec)
	if e := n.waitExit(id); e.ExitCode != 0 {
		t.Fatalf("got %+v", e)
	}
	n.remove(id)
}
