package kerneltest

import (
	"errors"
	"sync"
)

// ErrDead is what a dead agent's steps end with once they are let go.
var ErrDead = errors.New("this agent is dead")

// Life is the life of one agent: it counts the agent's steps, and ends the
// agent at one of them as kill -9 would. From then on nothing that it does has
// an effect, and none of its steps returns before Bury.
type Life struct {
	mu     sync.Mutex
	steps  int // each counts twice: before it is taken and after
	taking int // steps that have begun and not ended
	killAt int
	fail   map[string]error
	died   sync.Once
	dead   chan struct{}
	buried chan struct{}
}

// NewLife returns the life of an agent that dies at the given step, counted
// from 1; 0 is never.
func NewLife(killAt int) *Life {
	return &Life{killAt: killAt, fail: make(map[string]error), dead: make(chan struct{}), buried: make(chan struct{})}
}

// FailOnce lets the next step of that name fail without an effect.
func (l *Life) FailOnce(name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail[name] = err
}

// DieIn has the agent die at a step counted from now on; a life that was made
// to end has it moved.
func (l *Life) DieIn(steps int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.killAt = l.steps + steps
}

// Dead is closed when the agent has died.
func (l *Life) Dead() <-chan struct{} { return l.dead }

// Bury lets go of the dead agent's steps, so that its goroutines can end.
func (l *Life) Bury() { close(l.buried) }

// Step takes a step, unless the agent is dead, or dies before it or after it.
func (l *Life) Step(name string, f func() error) error {
	if err := l.tick(1); err != nil {
		return err
	}
	err := l.failure(name)
	if err == nil {
		err = f()
	}
	if dead := l.tick(-1); dead != nil {
		return dead
	}
	return err
}

func (l *Life) failure(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.fail[name]
	delete(l.fail, name)
	return err
}

// tick counts the beginning (1) or the end (-1) of a step, and blocks until
// Bury if the agent is dead. Steps of other goroutines that have begun by then
// are taken before Dead is closed, and none after.
func (l *Life) tick(change int) error {
	l.mu.Lock()
	l.steps++
	dead := l.killAt > 0 && l.steps >= l.killAt
	if change < 0 || !dead {
		l.taking += change
	}
	if dead && l.taking == 0 {
		l.died.Do(func() { close(l.dead) })
	}
	l.mu.Unlock()
	if !dead {
		return nil
	}
	<-l.buried
	return ErrDead
}
