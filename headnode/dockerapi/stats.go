package dockerapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/spearheadcloud/spearhead/headnode/dockerapi/compat"
	"github.com/spearheadcloud/spearhead/model"
)

// statsInterval is the time between two samples: Docker's.
const statsInterval = time.Second

// containerStats answers with one sample or with one a second until the
// container is removed. A sample carries the processor times of the one before
// it, from which clients compute a share.
func (s *server) containerStats(c *call) error {
	stream, oneShot := c.query.boolOr("stream", true), c.query.bool("one-shot")
	if stream && oneShot {
		return invalid("cannot have stream=true and one-shot=true")
	}
	found, err := s.Containers.Get(c.ctx(), c.account, c.vars["id"])
	if err != nil {
		return err
	}
	samples := &sampler{s: s, c: c, last: container.StatsResponse{ID: found.ID, Name: "/" + found.Name}}
	now, err := samples.next()
	if err != nil {
		return err
	}
	if stream {
		return samples.stream(now)
	}
	if !oneShot && !now.Read.IsZero() {
		if now, err = samples.afterInterval(); err != nil {
			return err
		}
	}
	return c.answer(http.StatusOK, now)
}

// sampler takes one sample after the other of one container.
type sampler struct {
	s    *server
	c    *call
	last container.StatsResponse
}

// next takes a sample. That of a container that does not run is empty but for
// its names.
func (p *sampler) next() (*container.StatsResponse, error) {
	of, stats, err := p.s.Usage.Stats(p.c.ctx(), p.c.account, p.last.ID)
	now := container.StatsResponse{ID: p.last.ID, Name: p.last.Name}
	switch {
	case model.IsKind(err, model.KindConflict):
	case err != nil:
		return nil, err
	default:
		now = statsResponse(&stats)
		now.ID, now.Name = of.ID, "/"+of.Name
		now.PreRead, now.PreCPUStats = p.last.Read, p.last.CPUStats
	}
	now.OSType = "linux"
	p.last = now
	return &now, nil
}

func (p *sampler) afterInterval() (*container.StatsResponse, error) {
	timer := time.NewTimer(p.s.statsInterval)
	defer timer.Stop()
	select {
	case <-timer.C:
		return p.next()
	case <-p.c.ctx().Done():
		return nil, p.c.ctx().Err()
	}
}

// stream sends samples until the container is gone or the client is.
func (p *sampler) stream(now *container.StatsResponse) error {
	h := p.c.w.Header()
	h.Set("Content-Type", "application/json")
	p.c.w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(p.c.w).Flush
	for {
		line, err := json.Marshal(now)
		if err != nil {
			return fmt.Errorf("cannot encode statistics: %w", err)
		}
		if line, err = compat.Lower(p.c.route, p.c.version, line); err != nil {
			return err
		}
		if _, err := p.c.w.Write(append(line, '\n')); err != nil {
			return nil //nolint:nilerr // the client has gone; there is nobody to tell
		}
		flush()
		now, err = p.afterInterval()
		if model.IsKind(err, model.KindNotFound) || p.c.ctx().Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// statsResponse has the numbers in Docker's places. Those that version 2 of
// cgroups does not count are missing there, as with Docker.
func statsResponse(s *model.Stats) container.StatsResponse {
	return container.StatsResponse{
		Read: s.Read,
		CPUStats: container.CPUStats{
			CPUUsage: container.CPUUsage{
				TotalUsage: s.CPU.Total, PercpuUsage: s.CPU.PerCPU, UsageInKernelmode: s.CPU.Kernel, UsageInUsermode: s.CPU.User,
			},
			SystemUsage: s.CPU.System, OnlineCPUs: uint32(s.CPU.Online),
			ThrottlingData: container.ThrottlingData{
				Periods: s.CPU.Periods, ThrottledPeriods: s.CPU.ThrottledPeriods, ThrottledTime: s.CPU.ThrottledTime,
			},
		},
		MemoryStats: container.MemoryStats{
			Usage: s.Memory.Usage, MaxUsage: s.Memory.MaxUsage, Stats: s.Memory.Detail, Failcnt: s.Memory.FailCount, Limit: s.Memory.Limit,
		},
		PidsStats:  container.PidsStats{Current: s.Pids.Current, Limit: s.Pids.Limit},
		BlkioStats: blkioStats(s),
		Networks:   networkStats(s.Networks),
	}
}

func blkioStats(s *model.Stats) container.BlkioStats {
	bytes := blkioEntries(s.Blkio.Bytes)
	if s.CgroupVersion == 2 {
		return container.BlkioStats{IoServiceBytesRecursive: bytes}
	}
	none := []container.BlkioStatEntry{}
	if bytes == nil {
		bytes = none
	}
	requests := blkioEntries(s.Blkio.Requests)
	if requests == nil {
		requests = none
	}
	return container.BlkioStats{
		IoServiceBytesRecursive: bytes, IoServicedRecursive: requests, IoQueuedRecursive: none, IoServiceTimeRecursive: none,
		IoWaitTimeRecursive: none, IoMergedRecursive: none, IoTimeRecursive: none, SectorsRecursive: none,
	}
}

func blkioEntries(from []model.BlkEntry) []container.BlkioStatEntry {
	var entries []container.BlkioStatEntry
	for _, e := range from {
		entries = append(entries, container.BlkioStatEntry{Major: e.Major, Minor: e.Minor, Op: e.Op, Value: e.Value})
	}
	return entries
}

func networkStats(from map[string]model.NetStats) map[string]container.NetworkStats {
	if len(from) == 0 {
		return nil
	}
	all := make(map[string]container.NetworkStats, len(from))
	for name, n := range from {
		all[name] = container.NetworkStats{
			RxBytes: n.RxBytes, RxPackets: n.RxPackets, RxErrors: n.RxErrors, RxDropped: n.RxDropped,
			TxBytes: n.TxBytes, TxPackets: n.TxPackets, TxErrors: n.TxErrors, TxDropped: n.TxDropped,
		}
	}
	return all
}
