package revert

// Stack holds the undo functions of one operation. The zero value is ready to use. It
// belongs to the goroutine that runs the operation and is not safe for concurrent use.
type Stack struct {
	undo []func()
}

// Add remembers f as the way back from the step just done.
func (s *Stack) Add(f func()) {
	s.undo = append(s.undo, f)
}

// Revert runs the remembered functions, the newest first, each once. After Success, and
// when called again, it does nothing. A panic in one of them does not keep the older ones
// from running.
func (s *Stack) Revert() {
	if len(s.undo) == 0 {
		return
	}
	last := s.undo[len(s.undo)-1]
	s.undo = s.undo[:len(s.undo)-1]
	defer s.Revert()
	last()
}

// Success forgets the remembered functions: the operation stands.
func (s *Stack) Success() {
	s.undo = nil
}
