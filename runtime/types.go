package runtime

import (
	"io"
	"log/slog"
	"time"

	"github.com/spearheadcloud/spearhead/internal/logopt"
	"github.com/spearheadcloud/spearhead/model"
)

// Config says where a Runtime keeps its things and what it runs.
type Config struct {
	StateDir string // survives a reboot: logs, exit records, seccomp programs
	RunDir   string // need not survive a reboot: sockets, FIFOs, bundles; keep it short, sockets live in it
	Runtime  string // "crun", "runc", or "" for crun if it is there and works
	// IodCommand is the argv that starts the supervisor; --run-dir and
	// --state-dir are appended.
	IodCommand   []string
	CgroupParent string      // path below each hierarchy's root, such as "/spearhead"
	Logs         logopt.File // bounds the logs of containers that ask for no bound; zero bounds none
	Logger       *slog.Logger
}

// Info describes the node's means to run containers. It is fixed after Open.
type Info struct {
	Runtime       string   // name and version: "crun 1.8.1"
	CgroupVersion int      // 1 or 2
	Init          string   // name and version of the init process for containers: "tini 0.19.0"; "" if there is none
	Seccomp       bool     // kernel and runtime can filter system calls
	Warnings      []string // for the operator: what is missing or unsafe, and what to do
}

// StartRequest says what to run and in what surroundings.
type StartRequest struct {
	ID        string
	AccountID string
	Run       string // names this run of the container; letters, digits, - and _; unique per start
	Spec      *model.ContainerSpec
	Rootfs    string // absolute path of the mounted root
	Netns     string // path of the network namespace; "" is a new one with only lo; "host" is the node's
	// Hostname, Hosts and ResolvConf are files that are bound over the
	// container's own in /etc; "" binds none.
	Hostname   string
	Hosts      string
	ResolvConf string
	// JoinPid maps "pid" and "ipc" to a process whose namespace is joined.
	JoinPid map[string]int
}

// Process is a run of a container. Pid and StartTicks together name one
// process of one boot (proc(5), stat field 22).
type Process struct {
	ID         string
	Pid        int
	StartTicks uint64
	Run        string
	StartedAt  time.Time
}

// Exit is the end of a run. Unknown is set when nobody could see how it ended;
// ExitCode is then 255. A run that a signal ended has 128 plus its number.
type Exit struct {
	ID         string
	Run        string
	ExitCode   int
	Unknown    bool
	OOMKilled  bool
	FinishedAt time.Time
}

// Stream is the standard streams of a process. Without a terminal, what is
// read is framed as stdcopy does: a byte 1 or 2 for stdout or stderr, three
// zero bytes, the length as a big-endian uint32, the bytes. CloseWrite ends
// standard input and leaves output flowing. Read returns io.EOF when the
// process has ended and all its output was read.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// AttachOptions say which streams of a container to join.
type AttachOptions struct {
	Stdin, Stdout, Stderr bool
	Logs                  bool   // first what was logged so far
	Stream                bool   // then what comes
	DetachKeys            string // "" is ctrl-p,ctrl-q; with a terminal only
}

// LogOptions select lines of a log.
type LogOptions struct {
	Stdout, Stderr bool
	Follow         bool // until the container ends; a stopped one is not waited for
	Timestamps     bool // RFC 3339 with nine digits of a second before each line
	Details        bool // Attributes before each line, as Docker shows them
	Attributes     map[string]string
	Since, Until   time.Time
	Tail           int // lines from the end; negative is all
}

// ExecSpec is one process to run inside of a running container.
type ExecSpec struct {
	ID                    string // 64 hex digits, chosen by the caller
	Args                  []string
	Env                   []string // added to the container's
	User                  string   // "" is the container's
	WorkingDir            string   // "" is the container's
	Tty                   bool
	Stdin, Stdout, Stderr bool
	Privileged            bool
	DetachKeys            string
	Detach                bool       // nobody joins its streams
	Size                  *[2]uint16 // rows, columns of the terminal from its start; see ExecStart
}

// ExecState is what became of an exec.
type ExecState struct {
	Running  bool
	ExitCode *int // nil until it has ended
	Pid      int
}
