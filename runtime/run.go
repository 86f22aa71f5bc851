package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/runtime/cgroup"
	"github.com/spearheadcloud/spearhead/runtime/iod"
)

// recordName is the file in a bundle's directory that holds its runRecord.
const recordName = "run.json"

// runRecord is what neither the OCI specification tells of a run, nor the
// container itself for sure, which may move its processes to other groups.
type runRecord struct {
	Group      string   `json:"group"`                 // its control groups, below each hierarchy's root
	OwnNetwork bool     `json:"own_network,omitempty"` // it shares its network with nobody
	GroupAdd   []string `json:"group_add,omitempty"`   // as asked for; execs of other users get them too
	OwnHome    bool     `json:"own_home,omitempty"`    // HOME is asked for, and not the user's
}

func recordOf(req StartRequest, group string) runRecord {
	return runRecord{
		Group:      group,
		OwnNetwork: req.Netns != "host" && !strings.HasPrefix(req.Spec.Network, "container:"),
		GroupAdd:   req.Spec.GroupAdd,
		OwnHome:    slices.ContainsFunc(req.Spec.Env, func(v string) bool { return strings.HasPrefix(v, "HOME=") && v != "HOME=" }),
	}
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
	record runRecord
	group  cgroup.Group
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
	return run{*st.Process, record, r.groupAt(record.Group)}, nil
}
