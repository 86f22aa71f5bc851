package model

import (
	"errors"
	"fmt"
)

// Kind says what class of failure an error is. It is the only thing that
// callers decide on, and the only thing that is mapped to an HTTP status (in
// headnode/dockerapi). Kinds cross the wire by name.
type Kind string

// The kinds of error. KindInternal is the kind of an error that says nothing
// about itself.
const (
	KindInternal        Kind = "internal"        // a defect or a failing machine
	KindInvalid         Kind = "invalid"         // the request can never succeed as it is
	KindNotFound        Kind = "not-found"       // no such object for this account
	KindConflict        Kind = "conflict"        // the object's state forbids it now
	KindForbidden       Kind = "forbidden"       // the account may not ask for this
	KindUnauthenticated Kind = "unauthenticated" // no or no valid identity
	KindUnavailable     Kind = "unavailable"     // no quorum, node unreachable: may work later
	KindExhausted       Kind = "exhausted"       // capacity or a limit is used up
	KindNotImplemented  Kind = "not-implemented" // this server does not do that
	KindNotModified     Kind = "not-modified"    // already as asked
	KindTooLarge        Kind = "too-large"       // the request is over a size limit
)

// Error is an error with a kind. Text is for the user: what was being tried,
// what was wrong, what to do next; it never holds paths, addresses or names of
// the machine that it happened on. Cause is for the log.
type Error struct {
	Kind  Kind
	Text  string
	Cause error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Text + ": " + e.Cause.Error()
	}
	return e.Text
}

func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an error of kind k whose text is for the user.
func Errorf(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Text: fmt.Sprintf(format, args...)}
}

// WrapError gives cause a kind and a text for the user; the cause itself is
// only logged. It returns nil if cause is nil.
func WrapError(k Kind, cause error, format string, args ...any) error {
	if cause == nil {
		return nil
	}
	return &Error{Kind: k, Text: fmt.Sprintf(format, args...), Cause: cause}
}

// KindOf returns the kind of the outermost Error in err's chain, or
// KindInternal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// IsKind reports whether err is not nil and of kind k.
func IsKind(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// UserText returns what a user may read of err: the text of the outermost
// Error in its chain, or a plain sentence for an error that has none.
func UserText(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Text
	}
	return "internal error; the operator finds the cause in the log by the request id"
}
