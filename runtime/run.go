package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/cgroup"
	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// recordName is the file in a bundle's directory that holds its runRecord.
const recordName = "run.json"

// runRecord is what is not to be read out of a running container, which may
// move its processes to other groups.
type runRecord struct {
	Group      string `json:"group"`                 // its control groups, below each hierarchy's root
	OwnNetwork bool   `json:"own_network,omitempty"` // it shares its network with nobody
}

func (r *Runtime) readRecord(id string) (runRecord, error) {
	var record runRecord
	err := atomicfile.ReadJSON(filepath.Join(r.bundle(id), recordName), &record)
	if errors.Is(err, os.ErrNotExist) {
		return record, model.WrapError(model.KindConflict, err, "container %s is not running", id)
	}
	if err != nil {
		return record, fmt.Errorf("cannot learn how a container runs: %w", err)
	}
	return record, nil
}

func (r *Runtime) groupAt(path string) cgroup.Group {
	return cgroup.Group{Root: cgroupRoot, Version: r.host.CgroupVersion, Path: path}
}

// A run is a container that runs.
type run struct {
	iod.Process
	group      cgroup.Group
	ownNetwork bool
}

// running finds a container's present run; KindConflict, in Docker's words,
// if there is none.
func (r *Runtime) running(ctx context.Context, id string) (run, error) {
	if err := iod.CheckName(id); err != nil {
		return run{}, model.WrapError(model.KindInvalid, err, "invalid container id")
	}
	st, err := r.status(ctx, id)
	if err != nil {
		return run{}, err
	}
	if st.Process == nil {
		return run{}, model.Errorf(model.KindConflict, "container %s is not running", id)
	}
	record, err := r.readRecord(id)
	if err != nil {
		return run{}, err
	}
	return run{Process: *st.Process, group: r.groupAt(record.Group), ownNetwork: record.OwnNetwork}, nil
}
