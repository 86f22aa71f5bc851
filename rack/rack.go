package rack

import "context"

// Options say what rack Up builds. The zero value of a field is its default.
type Options struct {
	Dir      string            // where the rack's files are; DefaultDir
	Heads    int               // 1
	Nodes    int               // 1
	Storage  string            // "overlay" (default) or "zfs"
	Pool     string            // zfs: an existing pool or dataset; "" makes a private one
	Binary   string            // the spearhead binary that the hosts run; this one
	Progress func(line string) // told of each step; may be nil
}

// DefaultDir is where a rack lives that was given no directory.
const DefaultDir = "/var/lib/spearhead/dev"

// Rack is a rack as its directory describes it.
type Rack struct {
	dir string
}

// Up builds a rack, or completes and restarts one that exists, and returns
// when docker works through it.
func Up(ctx context.Context, o Options) error { return nil }

// Load reads the rack in dir. The error is of model.KindNotFound if there is
// none.
func Load(dir string) (*Rack, error) { return &Rack{dir: dir}, nil }

// Env returns the settings (NAME=value) by which a docker client reaches the
// rack as an account; "" is the first account.
func (r *Rack) Env(account string) ([]string, error) { return nil, nil }

// Host is a host of a rack and the state of its daemon.
type Host struct {
	Name    string // head-1, node-1
	Address string
	Pid     int    // 0 if it does not run
	State   string // running, stopped, dead
	Cut     bool   // off the underlay by Fault
	Leader  bool
	Log     string // path
}

// Status is a rack's state.
type Status struct {
	Dir        string
	DockerHost string
	Hosts      []Host
}

// Status tells the state of the rack's hosts.
func (r *Rack) Status(ctx context.Context) (Status, error) { return Status{}, nil }

// Fault does kill, stop, cont or start to a host's daemons, or cut or heal to
// its link to the underlay.
func (r *Rack) Fault(ctx context.Context, verb, host string) error { return nil }

// Down removes the rack and all that belongs to it.
func (r *Rack) Down(ctx context.Context) error { return nil }
