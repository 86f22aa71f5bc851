package runtime

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// Stats samples what a running container uses; KindConflict if it does not run.
// Networks has every interface of a container with a network of its own but lo.
func (r *Runtime) Stats(ctx context.Context, id string) (model.Stats, error) {
	run, err := r.running(ctx, id)
	if err != nil {
		return model.Stats{}, err
	}
	s, err := run.group.Stats()
	if err != nil {
		return model.Stats{}, r.gone(ctx, id, err)
	}
	s.Read = time.Now()
	if !run.record.OwnNetwork {
		return s, nil
	}
	// The file shows the network that the process is in, whoever reads it.
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", run.Pid))
	if err != nil {
		return model.Stats{}, r.gone(ctx, id, fmt.Errorf("cannot read network counters: %w", err))
	}
	s.Networks = parseNetDev(string(b))
	return s, nil
}

// parseNetDev reads /proc/net/dev (proc(5)): after two lines of titles, a line
// for each interface with eight numbers of what came and eight of what went.
func parseNetDev(text string) map[string]model.NetStats {
	out := map[string]model.NetStats{}
	for line := range strings.Lines(text) {
		name, counters, ok := strings.Cut(strings.TrimSpace(line), ":")
		f := strings.Fields(counters)
		if !ok || name == "lo" || len(f) < 16 {
			continue
		}
		n := func(i int) uint64 { v, _ := strconv.ParseUint(f[i], 10, 64); return v }
		out[name] = model.NetStats{
			RxBytes: n(0), RxPackets: n(1), RxErrors: n(2), RxDropped: n(3),
			TxBytes: n(8), TxPackets: n(9), TxErrors: n(10), TxDropped: n(11),
		}
	}
	return out
}
