package state

import (
	"time"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/wire"
)

// Phase is the step of its life that a container is in, or was about to take.
type Phase string

// The phases of a container on its node. Those that end in -ing are recorded
// before the step is taken: after a crash it is finished or undone.
const (
	PhaseCreating Phase = "creating" // nothing is promised yet: undone after a crash
	PhaseIdle     Phase = "idle"     // exists and does not run
	PhaseStarting Phase = "starting" // Run may or may not have begun
	PhaseRunning  Phase = "running"  // Run is alive, or ended while nobody looked
	PhaseWaiting  Phase = "waiting"  // ended, and its restart policy starts it again
	PhaseRemoving Phase = "removing" // finished after a crash
	PhaseArriving Phase = "arriving" // its files come from another node, whose it still is
)

// Status is the part of a record that changes.
type Status struct {
	Phase Phase `json:"phase"`
	// Run is the id of the newest start.
	Run   string               `json:"run,omitempty"`
	State model.ContainerState `json:"state"`
	// UserStopped is set when somebody asked for the end of the newest run:
	// its end is then not followed by a restart.
	UserStopped bool `json:"user_stopped,omitempty"`
	// QuickEnds counts the ends in a row that came soon after their start; the
	// delay before the next restart grows with it.
	QuickEnds int `json:"quick_ends,omitempty"`
	// Restarting is set from the moment a user asked for a restart until the
	// run that it asked for has begun.
	Restarting bool `json:"restarting,omitempty"`
	// Removing is set when a user asked for the removal of a running container:
	// its end is followed by that.
	Removing bool `json:"removing,omitempty"`
	// Freezing is set while processes are being frozen or thawed, and while
	// they are frozen for some work that ends with the agent: whoever finds it
	// after a crash thaws them.
	Freezing bool `json:"freezing,omitempty"`
	// Relimiting is set while the limits of running processes are changed:
	// whoever finds it after a crash sets those of the request.
	Relimiting bool `json:"relimiting,omitempty"`
	// Rewiring is set while a running container is connected to a network or
	// taken off one: whoever finds it after a crash gives it the request's NICs.
	Rewiring bool `json:"rewiring,omitempty"`
	// Departing is set while the container is to be another node's: it does not
	// run any more, and nobody can start it.
	Departing bool `json:"departing,omitempty"`
	// OfferedTo is the node that may read the container's files, because it is
	// to be that node's.
	OfferedTo string `json:"offered_to,omitempty"`
	// Arriving is set while the copy that was to become the container is
	// removed: nobody is told of that.
	Arriving bool `json:"arriving,omitempty"`
}

// Record is a container as its node keeps it.
type Record struct {
	Request wire.CreateRequest
	Status  Status
}

// Exec is a process that was asked for inside of a container.
type Exec struct {
	Spec      wire.ExecSpec `json:"spec"`
	Container string        `json:"container"`
	Created   time.Time     `json:"created"`
	Started   bool          `json:"started,omitempty"`
	Ended     time.Time     `json:"ended"` // zero while it has not
	ExitCode  int           `json:"exit_code,omitempty"`
}

// Change is a set of changes that are made together or not at all. Only what
// is set is changed.
type Change struct {
	Container   string              // which one Request, Status and Forget are about
	Request     *wire.CreateRequest // a new container's, or an updated one's
	Status      *Status
	Forget      bool // drops the container and its execs
	Exec        *Exec
	ForgetExecs []string
	// Entries are appended to the journal, which gives them their Seq.
	Entries []model.JournalEntry
}
