package rack

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
)

// record is rack.json: what was decided when the rack was made. Everything
// else about the rack follows from it or is found in the kernel. Whatever is
// going to be made is in it first.
type record struct {
	Index   int    `json:"index"`
	Heads   int    `json:"heads"`
	Nodes   int    `json:"nodes"`
	Storage string `json:"storage"`
	Pool    string `json:"pool,omitempty"` // the user's; "" with zfs is one of our own
	Binary  string `json:"binary"`
	// Mirrors of Docker Hub.
	Mirrors []string `json:"mirrors,omitempty"`
	// MadeDirs are the rack's folder and those above it, innermost first, as
	// far as they were not there before.
	MadeDirs []string `json:"made_dirs,omitempty"`
	// Initialized says that head-1's state is whole: it may not be made anew.
	Initialized bool `json:"initialized"`
}

const recordName = "rack.json"

// entries are all that a rack puts into its folder, beside the hosts' folders.
func (r *Rack) entries() []string {
	list := []string{"accounts", certsName, "logs", "pool", recordName}
	for _, h := range r.hosts() {
		list = append(list, h.name)
	}
	return list
}

func (r *Rack) save() error {
	if err := atomicfile.WriteJSON(filepath.Join(r.dir, recordName), r.rec, 0o600); err != nil {
		return fmt.Errorf("cannot record the rack: %w", err)
	}
	return nil
}

// Load reads the rack in dir. The error is of model.KindNotFound if there is
// none.
func Load(dir string) (*Rack, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot find the rack: %w", err)
	}
	r := &Rack{layout: layout{dir: dir}}
	err = atomicfile.ReadJSON(filepath.Join(dir, recordName), &r.rec)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, model.Errorf(model.KindNotFound, "there is no rack in %s: make one with spearhead dev up", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the rack's record: %w", err)
	}
	if r.rec.Index < 0 || r.rec.Index >= maxRacks {
		return nil, fmt.Errorf("cannot use the rack's record: index %d is out of range", r.rec.Index)
	}
	r.index = r.rec.Index
	return r, nil
}

func (r *Rack) hosts() []host { return r.layout.hosts(r.rec.Heads, r.rec.Nodes) }

// heads are the rack's heads, and nodes its nodes.
func (r *Rack) heads() []host { return r.hosts()[:r.rec.Heads] }
func (r *Rack) nodes() []host { return r.hosts()[r.rec.Heads:] }

// host finds a host by name.
func (r *Rack) host(name string) (host, error) {
	var names []string
	for _, h := range r.hosts() {
		if h.name == name {
			return h, nil
		}
		names = append(names, h.name)
	}
	return host{}, model.Errorf(model.KindNotFound, "this rack has no host %q: it has %q", name, names)
}
