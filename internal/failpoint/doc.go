// Package failpoint lets a test stop the program between two steps.
//
// Code calls Hit with a name between steps that change the world. Nothing happens unless
// the environment variable FAILPOINTS names that place:
//
//	FAILPOINTS="agent/after-netns=kill,iod/before-ack=error" spearhead agent run ...
//
// The actions are error (Hit returns an error), panic, and kill (the process sends itself
// SIGKILL, as a power cut would look to the rest of the machine).
package failpoint
