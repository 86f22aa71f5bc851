package rack

// DefaultDir is where a rack lives that was given no directory.
const DefaultDir = "/var/lib/spearhead/dev"

// Options say what rack Up builds. The zero value of a field is its default.
type Options struct {
	Dir      string            // where the rack's files are; DefaultDir
	Heads    int               // 1, 3 or 5; 0 is what the rack has, 1 for a new one. More make it grow
	Nodes    int               // how many nodes; 0 is what the rack has, 1 for a new one. More make it grow
	Storage  string            // "overlay" or "zfs"; "" is what the rack has, overlay for a new one
	Pool     string            // zfs: an existing pool or dataset; "" makes a private one
	Mirrors  []string          // of Docker Hub, HOST:PORT or URL, for hosts that start from now on; nil is what the rack has
	Binary   string            // the spearhead binary that the hosts run; this program
	Progress func(line string) // told of each step; may be nil
}

// Rack is a rack as its folder describes it. Its methods may be called by
// several processes at once; Up and Down of all racks wait for each other.
type Rack struct {
	layout
	rec      record
	pool     pool
	progress func(line string) // one call at a time
}
