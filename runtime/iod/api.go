package iod

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"
)

// Names inside of Config.RunDir and Config.StateDir that callers need.
const (
	SocketName    = "iod.sock"      // in RunDir: HTTP
	HoldName      = "hold.sock"     // in RunDir: descriptors for a second holder
	UnitsName     = "units"         // in RunDir: a directory per process that runs
	ContainerName = "containers"    // in StateDir: a directory per registered container; its log is as package jsonlog says
	SettingsName  = "settings.json" // in a container's state directory: its Settings
	PidfdKey      = "pidfd"         // the last part of the key that a process's pidfd is held by
)

// Settings say how a process's streams are treated. They are fixed when it is
// registered.
type Settings struct {
	Tty         bool   `json:"tty,omitempty"`
	Stdin       bool   `json:"stdin,omitempty"`        // it has a standard input; else /dev/null
	StdinOnce   bool   `json:"stdin_once,omitempty"`   // the first client that ends its input ends the process's
	Log         bool   `json:"log,omitempty"`          // output is kept in the json-file log
	LogSize     int64  `json:"log_size,omitempty"`     // bytes after which the log is rotated; 0 is never
	LogFiles    int    `json:"log_files,omitempty"`    // files kept, this one included; 0 is 1
	LogCompress bool   `json:"log_compress,omitempty"` // rotated files are compressed while the container runs
	Container   string `json:"container,omitempty"`    // of an exec: the container that it runs in
	Bound       bool   `json:"bound,omitempty"`        // of an exec: it ends with the supervisor that made it
}

// StartRequest says how to start a registered process.
type StartRequest struct {
	Run     string          `json:"run"`
	Command []string        `json:"command"`           // OCI runtime with its global options
	Bundle  string          `json:"bundle,omitempty"`  // of a container: the directory of its OCI bundle
	Process json.RawMessage `json:"process,omitempty"` // of an exec: an OCI process
	// StartFifo is where a created container of crun waits for its start; ""
	// has the runtime's own start command run.
	StartFifo string `json:"start_fifo,omitempty"`
	OOMFile   string `json:"oom_file,omitempty"` // the cgroup's file that counts OOM kills
}

// Process is a run that has begun.
type Process struct {
	ID         string    `json:"id"`
	Run        string    `json:"run"`
	Pid        int       `json:"pid"`
	StartTicks uint64    `json:"start_ticks"`
	StartedAt  time.Time `json:"started_at"`
}

// Exit is how a run ended.
type Exit struct {
	ID         string    `json:"id"`
	Run        string    `json:"run"`
	ExitCode   int       `json:"exit_code"`
	Unknown    bool      `json:"unknown,omitempty"`
	OOMKilled  bool      `json:"oom_killed,omitempty"`
	FinishedAt time.Time `json:"finished_at"`
}

// Status is what is known of a registered process.
type Status struct {
	Process  *Process `json:"process,omitempty"` // nil unless it runs
	LastExit *Exit    `json:"last_exit,omitempty"`
}

// Failure is the body of every answer that is not a success.
type Failure struct {
	Text string `json:"text"`
}

// LogTimeHeader carries, in the answer to an attach, the time of the last line
// that was logged before the client joined (RFC 3339 with nanoseconds).
const LogTimeHeader = "Iod-Log-Time"

var nameRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,127}$`)

// CheckName returns an error if name cannot name a process or a run.
func CheckName(name string) error {
	if !nameRule.MatchString(name) {
		return fmt.Errorf("cannot use %.140q as a name: letters, digits, - and _ only, 128 at most", name)
	}
	return nil
}

func (s Settings) check() error {
	if s.LogSize < 0 || s.LogFiles < 0 || s.LogFiles > 1000 {
		return fmt.Errorf("cannot keep %d log files of %d bytes", s.LogFiles, s.LogSize)
	}
	if s.Container != "" {
		return CheckName(s.Container)
	}
	return nil
}

func (r StartRequest) check(exec bool) error {
	if err := CheckName(r.Run); err != nil {
		return err
	}
	if len(r.Command) == 0 || r.Command[0] == "" {
		return fmt.Errorf("cannot start: no runtime given")
	}
	if exec && len(r.Process) == 0 || !exec && r.Bundle == "" {
		return fmt.Errorf("cannot start: no bundle or process file given")
	}
	return nil
}
