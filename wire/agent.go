package wire

import (
	"context"
	"io"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// Agent is everything that a head can ask of a node. Every method may be
// called by many goroutines at once; calls about one container are carried
// out one after the other. Methods that change something answer with the
// place in the node's journal after which the change shows.
//
// Errors carry a model.Kind: KindNotFound for an unknown container, image or
// exec; KindConflict and KindNotModified with Docker's meaning; and
// KindUnavailable when the node cannot be reached.
type Agent interface {
	ImageStore
	Peer
	Builders
	Signs
	Membership
	Volumes
	Networks
	Moves
	VolumeMoves

	// Info describes the machine.
	Info(ctx context.Context) (model.NodeInfo, error)

	// Containers lists what the node has, for reconciliation.
	Containers(ctx context.Context) ([]ContainerRecord, error)
	// Create makes a container that the head has reserved. Creating the same
	// id again is no error and makes no second one.
	Create(ctx context.Context, r CreateRequest) (Ack, error)
	// Start starts a container; KindNotModified if it runs already.
	Start(ctx context.Context, id string) (Ack, error)
	// Stop sends the stop signal and, after the timeout, SIGKILL, and returns
	// when the container has ended; KindNotModified if it does not run.
	Stop(ctx context.Context, id string, r StopRequest) (Ack, error)
	// Restart is Stop, if it runs, and Start.
	Restart(ctx context.Context, id string, r StopRequest) (Ack, error)
	// Kill sends a signal; KindConflict if the container does not run.
	Kill(ctx context.Context, id string, r KillRequest) (Ack, error)
	// Pause freezes the container's processes; KindConflict if it does not
	// run or is paused.
	Pause(ctx context.Context, id string) (Ack, error)
	// Unpause lets them go on; KindConflict if it is not paused.
	Unpause(ctx context.Context, id string) (Ack, error)
	// Update changes limits, of the running processes too, and the restart
	// policy. All of it is changed or nothing.
	Update(ctx context.Context, id string, r model.ContainerUpdate) (Ack, error)
	// Stats samples what the container uses; KindConflict if it does not run.
	Stats(ctx context.Context, id string) (model.Stats, error)
	// Health is what the newest probes found; the zero Health for a container
	// without a health check.
	Health(ctx context.Context, id string) (model.Health, error)
	// Sizes measures what containers take of the disk. Unknown ids are left
	// out of the answer.
	Sizes(ctx context.Context, ids []string) (map[string]model.ContainerSize, error)
	// Remove removes the container and all that it holds on the node. A
	// running one is refused with KindConflict unless r.Force. Removing an
	// unknown id succeeds.
	Remove(ctx context.Context, id string, r RemoveRequest) (Ack, error)
	// Resize sets the size of the container's terminal.
	Resize(ctx context.Context, id string, size TerminalSize) error
	// Top lists the container's processes.
	Top(ctx context.Context, id string, psArgs string) (Processes, error)
	// Attach joins the container's standard streams, also before it starts.
	// The stream ends when the container does. Without a terminal, output is
	// framed as stdcopy does.
	Attach(ctx context.Context, id string, r AttachRequest) (Stream, error)
	// Logs returns the container's log, framed by stdcopy unless it has a
	// terminal. With r.Follow it ends when the container ends or ctx does.
	Logs(ctx context.Context, id string, r LogsRequest) (io.ReadCloser, error)

	// StatPath describes a file of the container, running or not. Links in the
	// path are followed inside of the container's root only. KindNotFound, in
	// Docker's words, if there is none.
	StatPath(ctx context.Context, id, path string) (model.PathStat, error)
	// ReadArchive returns a file, or a directory with all that is below it, as
	// a tar archive whose entries begin with the path's last part.
	ReadArchive(ctx context.Context, id, path string) (Archive, error)
	// WriteArchive unpacks a tar archive into a directory of the container. It
	// may return before all of tar was read, when it refuses it; tar may then
	// still be read from for a moment.
	WriteArchive(ctx context.Context, id string, r WriteArchiveRequest, tar io.Reader) error
	// Export returns the container's whole root as a tar archive.
	Export(ctx context.Context, id string) (io.ReadCloser, error)
	// Changes lists where the root differs from the image's, sorted by path.
	Changes(ctx context.Context, id string) ([]model.FileChange, error)
	// Commit makes an image of the container's root, held by this node.
	Commit(ctx context.Context, id string, r CommitRequest) (Committed, error)

	// ExecCreate prepares a process in a running container under r.ID.
	ExecCreate(ctx context.Context, container string, r ExecSpec) error
	// ExecStart runs it, joined to the stream; with r.Detach the stream is nil.
	ExecStart(ctx context.Context, exec string, r ExecStartRequest) (Stream, error)
	// ExecResize sets the size of the exec's terminal.
	ExecResize(ctx context.Context, exec string, size TerminalSize) error
	// ExecInspect tells what became of it; it is known until its container
	// ends, and for five minutes at least.
	ExecInspect(ctx context.Context, exec string) (ExecState, error)

	// PullImage makes the node hold an image. Progress arrives on the stream;
	// the last message holds the image or the error.
	PullImage(ctx context.Context, r PullRequest) (PullStream, error)
	// Images lists the ids of images that the node holds whole.
	Images(ctx context.Context) ([]string, error)
	// RemoveImage lets the node forget an image that no container of its uses
	// (KindConflict if one does); its bytes go when nothing shares them.
	RemoveImage(ctx context.Context, id string) error

	// Journal streams the node's journal after the given place, and then each
	// entry as it is written, until ctx ends. Calling it acknowledges all up
	// to after.Seq: the node may forget them. If the node does not know
	// after.Epoch it streams from its own beginning.
	Journal(ctx context.Context, after Ack) (JournalStream, error)
}

// Ack is a place in a node's journal.
type Ack struct {
	Epoch string `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

// ContainerRecord is a container as its node has it.
type ContainerRecord struct {
	ID        string               `json:"id"`
	AccountID string               `json:"account_id"`
	State     model.ContainerState `json:"state"`
	// Departing says that it was stopped to be another node's.
	Departing bool `json:"departing,omitempty"`
}

// CreateRequest is a reserved container with the networks that its NICs are on
// and the volumes that it mounts.
type CreateRequest struct {
	Container model.Container `json:"container"`
	Account   AccountRef      `json:"account"`
	Networks  []model.Network `json:"networks,omitempty"`
	Volumes   []VolumeRef     `json:"volumes,omitempty"` // that Container mounts
}

// AccountRef is what a node needs to know of a container's owner.
type AccountRef struct {
	ID     string       `json:"id"`
	Login  string       `json:"login"`
	Policy model.Policy `json:"policy"`
}

// StopRequest says how to stop. A nil Timeout is the container's own, and
// then 10 seconds; a negative one waits for ever.
type StopRequest struct {
	Timeout *int   `json:"timeout,omitempty"` // seconds
	Signal  string `json:"signal,omitempty"`  // "" is the container's own
}

// KillRequest names a signal as kill(1) does, by name or number; "" is KILL.
type KillRequest struct {
	Signal string `json:"signal,omitempty"`
}

// RemoveRequest says what to remove with a container.
type RemoveRequest struct {
	Force bool `json:"force,omitempty"`
	// Generation, if not nil, is of the copy that is meant: any other stays.
	Generation *int `json:"generation,omitempty"`
	// Volumes asks for the volumes that were made for the container, too. It
	// is the head that removes those: the node is not told.
	Volumes bool `json:"-"`
}

// Archive is a tar archive while it is made, and the file that was asked for.
// Closing it early ends the work.
type Archive struct {
	Stat model.PathStat
	io.ReadCloser
}

// WriteArchiveRequest says where and how an archive is unpacked.
type WriteArchiveRequest struct {
	Path string `json:"path"` // of an existing directory in the container
	// NoOverwriteDirNonDir refuses to replace a directory by something else,
	// and something else by a directory.
	NoOverwriteDirNonDir bool `json:"no_overwrite_dir_non_dir,omitempty"`
	// CopyUIDGID gives what is unpacked to the container's user; else, and if
	// the container has none, it stays with the archive's owners.
	CopyUIDGID bool `json:"copy_uid_gid,omitempty"`
}

// CommitRequest says what to make of a container's root.
type CommitRequest struct {
	// Name is what the image is going to be called, for the event; it is the
	// head that names images.
	Name string `json:"name,omitempty"`
	// Config is the new image's whole configuration, decided by the head.
	Config  model.ImageConfig `json:"config"`
	Author  string            `json:"author,omitempty"`
	Comment string            `json:"comment,omitempty"`
	Created time.Time         `json:"created"`
	Pause   bool              `json:"pause,omitempty"` // while the root is read
}

// Committed is the image that a commit made.
type Committed struct {
	Image model.Image `json:"image"`
	Ack   Ack         `json:"ack"`
}

// TerminalSize is in characters.
type TerminalSize = model.TerminalSize

// Processes is a table as ps(1) prints it.
type Processes struct {
	Titles []string   `json:"titles"`
	Rows   [][]string `json:"rows"`
}

// AttachRequest says which standard streams to join.
type AttachRequest struct {
	Stdin      bool   `json:"stdin,omitempty"`
	Stdout     bool   `json:"stdout,omitempty"`
	Stderr     bool   `json:"stderr,omitempty"`
	Logs       bool   `json:"logs,omitempty"`        // first what was logged so far
	Stream     bool   `json:"stream,omitempty"`      // then what comes
	DetachKeys string `json:"detach_keys,omitempty"` // "" is ctrl-p,ctrl-q; only with a terminal
}

// LogsRequest selects lines of a log.
type LogsRequest struct {
	Stdout     bool      `json:"stdout,omitempty"`
	Stderr     bool      `json:"stderr,omitempty"`
	Follow     bool      `json:"follow,omitempty"`
	Timestamps bool      `json:"timestamps,omitempty"`
	Details    bool      `json:"details,omitempty"`
	Since      time.Time `json:"since"`
	Until      time.Time `json:"until"`
	Tail       int       `json:"tail"` // lines from the end; negative is all
}

// ExecSpec is one process to run inside of a container.
type ExecSpec struct {
	ID         string   `json:"id"` // chosen by the head
	Args       []string `json:"args"`
	Env        []string `json:"env,omitempty"`  // added to the container's
	User       string   `json:"user,omitempty"` // "" is the container's
	WorkingDir string   `json:"working_dir,omitempty"`
	Tty        bool     `json:"tty,omitempty"`
	Stdin      bool     `json:"stdin,omitempty"`
	Stdout     bool     `json:"stdout,omitempty"`
	Stderr     bool     `json:"stderr,omitempty"`
	Privileged bool     `json:"privileged,omitempty"`
	DetachKeys string   `json:"detach_keys,omitempty"`
	// ConsoleSize is that of the terminal where ExecStartRequest names none.
	ConsoleSize *TerminalSize `json:"console_size,omitempty"`
}

// ExecStartRequest starts an exec.
type ExecStartRequest struct {
	Detach bool          `json:"detach,omitempty"`
	Size   *TerminalSize `json:"size,omitempty"` // of the terminal from its first moment
}

// ExecState is what became of an exec.
type ExecState struct {
	ID          string   `json:"id"`
	ContainerID string   `json:"container_id"`
	Spec        ExecSpec `json:"spec"`
	Running     bool     `json:"running"`
	ExitCode    *int     `json:"exit_code,omitempty"` // nil until it has ended
	Pid         int      `json:"pid,omitempty"`
}

// PullRequest names an image at a registry.
type PullRequest struct {
	Ref      string       `json:"ref"`                // normalized, with a tag or digest
	Platform string       `json:"platform,omitempty"` // "" is the node's own
	Auth     RegistryAuth `json:"auth"`
}

// RegistryAuth is how the user is known to a registry. It lives as long as
// the request and is never logged or stored.
type RegistryAuth struct {
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	IdentityToken string `json:"identity_token,omitempty"`
	RegistryToken string `json:"registry_token,omitempty"`
}

// PullMessage is one step of a pull. Exactly one of its parts is set.
type PullMessage struct {
	Progress *PullProgress `json:"progress,omitempty"`
	Image    *PulledImage  `json:"image,omitempty"` // the end, successful
	Error    *ErrorBody    `json:"error,omitempty"` // the end, failed
}

// PullProgress tells of one layer, in Docker's words.
type PullProgress struct {
	Layer   string `json:"layer"`             // short digest, 12 hex
	Status  string `json:"status"`            // "Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete", "Already exists"
	Current int64  `json:"current,omitempty"` // bytes
	Total   int64  `json:"total,omitempty"`
}

// PulledImage is the image, and the digest that its name resolved to.
type PulledImage struct {
	Image  model.Image `json:"image"`
	Digest string      `json:"digest"`
	New    bool        `json:"new"` // the node did not hold it before
}

// ErrorBody is an error on the wire.
type ErrorBody struct {
	Kind model.Kind `json:"kind"`
	Text string     `json:"text"`
}

// Stream is the standard streams of a process. CloseWrite ends standard input
// and leaves output flowing.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// PullStream is read until it returns io.EOF. Closing it early ends the pull.
type PullStream interface {
	Next() (PullMessage, error)
	io.Closer
}

// JournalStream is read until ctx of the call ends. Epoch is known at once.
type JournalStream interface {
	Epoch() string
	// Next returns at least one entry, and all that are ready, in order. An
	// empty batch without an error is a sign of life, sent every 2 seconds
	// when nothing happens.
	Next() ([]model.JournalEntry, error)
	io.Closer
}
