// Package revert undoes the finished steps of an operation that failed half-way.
//
// An operation adds one undo function after each step that changed the world, and says
// Success when all the steps are done:
//
//	var undo revert.Stack
//	defer undo.Revert()
//	if err := makeNetns(); err != nil {
//		return err
//	}
//	undo.Add(removeNetns)
//	...
//	undo.Success()
//	return nil
//
// It covers errors and panics only. A process that is killed runs no undo: what must
// survive that is written down before the step, and cleaned up at the next start.
package revert
