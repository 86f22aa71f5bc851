package kerneltest

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"syscall"
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime"
	"github.com/spearheadcloud/spearhead/wire/wiretest"
)

// Kernel is what outlives an agent.
type Kernel struct {
	mu         sync.Mutex
	nextPid    int
	registered map[string]*wiretest.Process // container → process to come, or of the newest run
	running    map[string]*process
	bundles    map[string]bool // containers whose runtime state was not cleaned
	images     map[string]bool
	roots      map[string]string // container → image
	mounts     map[string]bool
	sandboxes  map[string][]string // ids of networks
	volumes    map[string]bool     // whether they were filled
	exposed    map[string]bool     // containers that see parts of volumes
	execs      map[string]*exec
	exits      []runtime.Exit // not acknowledged
	listeners  map[chan runtime.Exit]bool
	frozen     map[string]bool
	limits     map[string]model.Limits // of running containers
	healthy    map[string]int          // exit code of a container's health check
	probes     map[string]int          // how often it was probed
	hung       map[string]bool         // whose probes do not end by themselves
	files      string                  // see KeepFiles
	violations []string
	waiters    sync.WaitGroup
}

type process struct {
	runtime.Process
	body    *wiretest.Process
	pending []syscall.Signal // that came while it was frozen
}

type exec struct {
	container string
	*wiretest.Process
}

// New returns a kernel of a machine that holds the image wiretest.ImageID.
func New() *Kernel {
	return &Kernel{
		nextPid:    1000,
		registered: make(map[string]*wiretest.Process),
		running:    make(map[string]*process),
		bundles:    make(map[string]bool),
		images:     map[string]bool{wiretest.ImageID: true},
		roots:      make(map[string]string),
		mounts:     make(map[string]bool),
		sandboxes:  make(map[string][]string),
		volumes:    make(map[string]bool),
		exposed:    make(map[string]bool),
		execs:      make(map[string]*exec),
		listeners:  make(map[chan runtime.Exit]bool),
		frozen:     make(map[string]bool),
		limits:     make(map[string]model.Limits),
		healthy:    make(map[string]int),
		probes:     make(map[string]int),
		hung:       make(map[string]bool),
	}
}

// violate notes that a caller did what a real driver would not survive.
func (k *Kernel) violate(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	k.violations = append(k.violations, text)
	return errors.New(text)
}

// Violations lists what callers did and must not do.
func (k *Kernel) Violations() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.violations...)
}

// Holds lists all that the kernel holds for containers, sorted: empty when
// nothing is leaked.
func (k *Kernel) Holds() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []string
	add := func(what, id string) { all = append(all, what+" "+id) }
	for id := range k.registered {
		add("registration", id)
	}
	for id := range k.running {
		add("process", id)
	}
	for id := range k.bundles {
		add("bundle", id)
	}
	for id := range k.roots {
		add("root", id)
	}
	for id := range k.mounts {
		add("mount", id)
	}
	for id := range k.sandboxes {
		add("sandbox", id)
	}
	for id := range k.exposed {
		add("volume part", id)
	}
	sort.Strings(all)
	return all
}

// Pid returns the process of a running container, or 0. A process that has
// ended does not run, also while nobody has been told of its end.
func (k *Kernel) Pid(id string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.running[id]; p != nil && !ended(p.body) {
		return p.Pid
	}
	return 0
}

// Networks are the ids of those that a container is on.
func (k *Kernel) Networks(id string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sandboxes[id]
}

// Reboot ends everything that does not survive the machine's restart: no
// process's end is seen by anybody.
func (k *Kernel) Reboot() {
	k.mu.Lock()
	processes := k.running
	k.running = make(map[string]*process)
	clear(k.bundles)
	clear(k.mounts)
	clear(k.sandboxes)
	clear(k.exposed)
	clear(k.execs)
	clear(k.frozen)
	clear(k.limits)
	k.mu.Unlock()
	for _, p := range processes {
		p.body.Signal(9)
	}
	k.waiters.Wait()
}

// Shutdown ends all processes and waits for what watches them.
func (k *Kernel) Shutdown() { k.Reboot() }

// End has a container's process end by a fault of its own, with code 136.
func (k *Kernel) End(id string) {
	k.mu.Lock()
	p := k.running[id]
	k.mu.Unlock()
	if p != nil {
		p.body.Signal(8)
	}
}

// reap waits for the end of a process and tells of it.
func (k *Kernel) reap(p *process) {
	<-p.body.Done()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running[p.ID] != p {
		return // the machine went with it
	}
	delete(k.running, p.ID)
	delete(k.frozen, p.ID)
	delete(k.limits, p.ID)
	for _, x := range k.execs {
		if x.container == p.ID {
			x.Signal(9)
		}
	}
	e := runtime.Exit{ID: p.ID, Run: p.Run, ExitCode: p.body.ExitCode(), FinishedAt: time.Now()}
	k.exits = append(k.exits, e)
	for l := range k.listeners {
		l <- e
	}
}
