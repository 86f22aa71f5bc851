package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/spearheadcloud/spearhead/headnode/transfers"
)

// progress tells of moves that are under way: on a terminal in bars that grow,
// else in a line for each step. It may be used by many goroutines at once.
type progress struct {
	to       io.Writer
	terminal bool

	mu    sync.Mutex
	order []string // of what is under way
	last  map[string]transfers.Progress
	shown int // lines of bars on the terminal
}

func newProgress(to io.Writer) *progress {
	p := &progress{to: to, last: map[string]transfers.Progress{}}
	if file, ok := to.(*os.File); ok {
		p.terminal = term.IsTerminal(int(file.Fd()))
	}
	return p
}

// tell shows how far a move has come.
func (p *progress) tell(name string, now transfers.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.last[name]
	p.last[name] = now
	if !known {
		p.order = append(p.order, name)
	}
	if !p.terminal {
		if !known || before.Step != now.Step || before.Node != now.Node {
			fmt.Fprintln(p.to, describe(name, now))
		}
		return
	}
	if now.Step == "done" {
		p.drop(name, describe(name, now))
		return
	}
	p.draw()
}

// note leaves a line above the bars.
func (p *progress) note(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.to, line)
	if p.terminal {
		p.draw()
	}
}

// fail shows that a move came to nothing.
func (p *progress) fail(name string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(name, fmt.Sprintf("%s: %v", name, err))
}

// drop takes a move out of the bars and leaves a last line of it.
func (p *progress) drop(name, line string) {
	p.clear()
	fmt.Fprintln(p.to, line)
	p.order = slices.DeleteFunc(p.order, func(other string) bool { return other == name })
	delete(p.last, name)
	if p.terminal {
		p.draw()
	}
}

// end leaves the terminal as it is.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

// clear goes back to where the bars begin, and takes them away.
func (p *progress) clear() {
	if p.shown > 0 {
		fmt.Fprintf(p.to, "\x1b[%dA\x1b[J", p.shown)
		p.shown = 0
	}
}

func (p *progress) draw() {
	p.clear()
	for _, name := range p.order {
		fmt.Fprintln(p.to, bar(p.last[name]), describe(name, p.last[name]))
		p.shown++
	}
}

// barWidth is in characters.
const barWidth = 20

// bar shows how much of what there was to come has come.
func bar(now transfers.Progress) string {
	full := 0
	if now.Total > 0 {
		full = int(min(now.Bytes, now.Total) * barWidth / now.Total)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}
