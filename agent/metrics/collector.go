package metrics

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spearheadcloud/spearhead/model"
)

// Node is what is looked up.
type Node interface {
	// Metered lists the containers.
	Metered() []Container
	// Stats samples what a running one uses.
	Stats(ctx context.Context, id string) (model.Stats, error)
	// Supervised asks the supervisor of containers how many processes it has.
	Supervised(ctx context.Context) (int, error)
	// Names asks the process that resolves names for containers what it does.
	Names(ctx context.Context) (Names, error)
	// JournalSeq is the newest entry in the node's journal.
	JournalSeq() uint64
	// Storage tells what was last found wrong with the storage ("" is nothing)
	// and how many bytes are free; false if it was not asked yet.
	Storage() (fault model.StorageFault, free int64, known bool)
	// Pool asks how the pool is that the storage is made of.
	Pool(ctx context.Context) (Pool, error)
}

// Container is one of the node's.
type Container struct {
	ID, Name           string
	AccountID, Account string // id and login of its owner
	Running            bool
	Restarts           int
	Memory, Disk       int64   // bytes that it may use; 0 is any
	CPUs               float64 // processors that it may use; 0 is any
}

// scrapeTimeout bounds one look at all containers.
const scrapeTimeout = 8 * time.Second

// collector looks at containers when it is asked.
type collector struct {
	node Node
	log  *slog.Logger
}

// owner are the labels of everything that is told of a container.
var owner = []string{"id", "name", "account", "account_id"}

var (
	containerRunning  = describe("spearhead_container_running", "1 if the container runs.", owner...)
	containerRestarts = describe("spearhead_container_restarts_total", "Times that the container was restarted by its policy.", owner...)
	cpuSeconds        = describe("spearhead_container_cpu_seconds_total", "Time on processors.", owner...)
	cpuThrottled      = describe("spearhead_container_cpu_throttled_seconds_total", "Time that the container had to wait for being over its limit.", owner...)
	cpuLimit          = describe("spearhead_container_cpus", "Processors that the container may use.", owner...)
	memoryUsed        = describe("spearhead_container_memory_bytes", "Memory in use, without the page cache that can go at any time.", owner...)
	memoryCache       = describe("spearhead_container_memory_cache_bytes", "Page cache of files.", owner...)
	memoryLimit       = describe("spearhead_container_memory_limit_bytes", "Memory that the container may use.", owner...)
	memoryFailures    = describe("spearhead_container_memory_failures_total", "Times that the limit was met.", owner...)
	processes         = describe("spearhead_container_processes", "Processes and threads.", owner...)
	netReceived       = describe("spearhead_container_network_receive_bytes_total", "Bytes received.", append(owner, "interface")...)
	netSent           = describe("spearhead_container_network_transmit_bytes_total", "Bytes sent.", append(owner, "interface")...)
	netDropped        = describe("spearhead_container_network_dropped_total", "Packets dropped in either direction.", append(owner, "interface")...)
	diskRead          = describe("spearhead_container_disk_read_bytes_total", "Bytes read from disks.", owner...)
	diskWritten       = describe("spearhead_container_disk_write_bytes_total", "Bytes written to disks.", owner...)
	diskLimit         = describe("spearhead_container_disk_limit_bytes", "Disk that the container may use.", owner...)

	supervisorUp = describe("spearhead_agent_iod_up", "1 if the supervisor of containers answers.")
	supervised   = describe("spearhead_agent_iod_processes", "Processes that the supervisor has.")
	journalSeq   = describe("spearhead_agent_journal_seq", "Newest entry in the node's journal.")
	storageFault = describe("spearhead_agent_storage_fault", "1 for what is wrong with the node's storage, 0 for what is not.", "fault")
	storageFree  = describe("spearhead_agent_storage_free_bytes", "What containers can still fill; what was last known where the storage does not answer.")
	unsampled    = describe("spearhead_agent_unsampled_containers", "Running containers that this answer has no numbers of.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		containerRunning, containerRestarts, cpuSeconds, cpuThrottled, cpuLimit, memoryUsed, memoryCache, memoryLimit, memoryFailures,
		processes, netReceived, netSent, netDropped, diskRead, diskWritten, diskLimit, supervisorUp, supervised, namesUp, namesResolvers, namesQuestions, journalSeq, storageFault, storageFree, poolHealth, unsampled,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	e := emitter{out: out}
	e.gauge(journalSeq, float64(c.node.JournalSeq()))
	e.storage(c.node)
	c.pool(ctx, &e)
	n, err := c.node.Supervised(ctx)
	e.gauge(supervised, float64(n))
	up := 1.0
	if err != nil {
		up = 0
		c.log.Warn("cannot ask the supervisor of containers", "op", "metrics", "err", err)
	}
	e.gauge(supervisorUp, up)
	c.names(ctx, &e)
	missed := 0
	for _, one := range c.node.Metered() {
		e.owner = []string{one.ID, one.Name, one.Account, one.AccountID}
		e.container(one)
		if !one.Running {
			continue
		}
		if stats, err := c.node.Stats(ctx, one.ID); err == nil {
			e.stats(&stats)
		} else {
			missed++ // it has just ended, or the time is up
		}
	}
	e.owner = nil
	e.gauge(unsampled, float64(missed))
}

// emitter sends numbers with the labels of the container that they are of.
type emitter struct {
	out   chan<- prometheus.Metric
	owner []string
}

func (e *emitter) gauge(d *prometheus.Desc, value float64, more ...string) {
	labels := append(e.owner[:len(e.owner):len(e.owner)], more...)
	e.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (e *emitter) counter(d *prometheus.Desc, value float64, more ...string) {
	labels := append(e.owner[:len(e.owner):len(e.owner)], more...)
	e.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
}

// storageFaults are all that can be told, by the words for them in labels.
var storageFaults = map[string]model.StorageFault{
	"silent": model.StorageSilent, "suspended": model.StorageSuspended, "full": model.StorageFull,
}

// storage tells how it does, once that is known.
func (e *emitter) storage(n Node) {
	fault, free, known := n.Storage()
	if !known {
		return
	}
	for word, one := range storageFaults {
		value := 0.0
		if one == fault {
			value = 1
		}
		e.gauge(storageFault, value, word)
	}
	e.gauge(storageFree, float64(free))
}

// container tells what is known without looking.
func (e *emitter) container(c Container) {
	running := 0.0
	if c.Running {
		running = 1
	}
	e.gauge(containerRunning, running)
	e.counter(containerRestarts, float64(c.Restarts))
	for _, limit := range []struct {
		desc  *prometheus.Desc
		value float64
	}{{memoryLimit, float64(c.Memory)}, {diskLimit, float64(c.Disk)}, {cpuLimit, c.CPUs}} {
		if limit.value > 0 {
			e.gauge(limit.desc, limit.value)
		}
	}
}

// stats tells what was sampled.
func (e *emitter) stats(s *model.Stats) {
	e.counter(cpuSeconds, float64(s.CPU.Total)/1e9)
	e.counter(cpuThrottled, float64(s.CPU.ThrottledTime)/1e9)
	cache := pageCache(s.Memory.Detail)
	e.gauge(memoryUsed, float64(s.Memory.Usage-min(cache, s.Memory.Usage)))
	e.gauge(memoryCache, float64(cache))
	e.counter(memoryFailures, float64(s.Memory.FailCount))
	e.gauge(processes, float64(s.Pids.Current))
	for name, n := range s.Networks {
		e.counter(netReceived, float64(n.RxBytes), name)
		e.counter(netSent, float64(n.TxBytes), name)
		e.counter(netDropped, float64(n.RxDropped+n.TxDropped), name)
	}
	var read, written uint64
	for _, entry := range s.Blkio.Bytes {
		switch strings.ToLower(entry.Op) {
		case "read":
			read += entry.Value
		case "write":
			written += entry.Value
		}
	}
	e.counter(diskRead, float64(read))
	e.counter(diskWritten, float64(written))
}

// pageCache is what the kernel would give back first, as docker stats counts
// it too: inactive pages of files, under their names in both versions of
// control groups.
func pageCache(detail map[string]uint64) uint64 {
	if v, ok := detail["total_inactive_file"]; ok {
		return v
	}
	return detail["inactive_file"]
}
