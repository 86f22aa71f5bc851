package runtime_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
)

// BenchmarkStartToExit is a whole life, with Docker's full specification:
// register, start, exit told, acknowledged, cleaned up, unregistered. The time
// that Start takes is reported beside it.
func BenchmarkStartToExit(b *testing.B) {
	n := newNode(b)
	spec := &model.ContainerSpec{Entrypoint: []string{"/bin/true"}, Limits: model.Limits{Memory: 64 << 20, Pids: 100, CPUShares: 512}}
	var starting time.Duration
	for b.Loop() {
		id := n.create(spec)
		begin := time.Now()
		n.start(id, spec)
		starting += time.Since(begin)
		n.waitExit(id)
		n.remove(id)
	}
	b.ReportMetric(float64(starting.Microseconds())/1000/float64(b.N), "start-ms/op")
}

// BenchmarkExec is an exec from its start to its exit code.
func BenchmarkExec(b *testing.B) {
	n := newNode(b)
	spec := sh("sleep 1000")
	id := n.create(spec)
	n.start(id, spec)
	for b.Loop() {
		if code, _, _ := n.exec(id, runtime.ExecSpec{Args: []string{"true"}}); code != 0 {
			b.Fatal(code)
		}
	}
}

// BenchmarkOutput is what an attached client gets per second.
func BenchmarkOutput(b *testing.B) {
	n := newNode(b)
	const mib = 2048
	spec := sh(fmt.Sprintf("dd if=/dev/zero bs=262144 count=%d 2>/dev/null", mib*4))
	spec.Log.Driver = "none"
	b.SetBytes(mib << 20)
	for b.Loop() {
		id := n.create(spec)
		s := n.attach(id, runtime.AttachOptions{Stdout: true})
		n.start(id, spec)
		got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{s}, make([]byte, 256<<10))
		if err != nil || got < mib<<20 {
			b.Fatalf("%d bytes: %v", got, err)
		}
		n.waitExit(id)
		n.remove(id)
	}
}

// BenchmarkMemory is what a sleeping container adds to the supervisor.
func BenchmarkMemory(b *testing.B) {
	n := newNode(b)
	before := n.privateMemory()
	spec := &model.ContainerSpec{Entrypoint: []string{"/bin/sleep", "1000"}, OpenStdin: true}
	count := 0
	for b.Loop() {
		for range 50 {
			n.start(n.create(spec), spec)
			count++
		}
	}
	b.ReportMetric(float64(n.privateMemory()-before)/1024/float64(count), "KiB/container")
}

// privateMemory is the supervisor's own, in bytes.
func (n *node) privateMemory() int {
	n.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", n.iodPid()))
	if err != nil {
		n.Fatal(err)
	}
	total := 0
	for line := range strings.Lines(string(text)) {
		var kib int
		if _, err := fmt.Sscanf(line, "Private_Dirty: %d kB", &kib); err == nil {
			total += kib << 10
		}
	}
	return total
}
