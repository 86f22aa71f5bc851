package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/model"
)

// node is one with a container that runs and one that does not.
type node struct {
	looks atomic.Int32
	fails error
	fault model.StorageFault
	pool  Pool
}

func (n *node) Metered() []Container {
	return []Container{
		{ID: "aaa", Name: "web", Account: "joan", AccountID: "id-of-joan", Running: true, Restarts: 2, Memory: 1 << 20, CPUs: 1.5},
		{ID: "bbb", Name: "old", Account: "jack", AccountID: "id-of-jack"},
	}
}

func (n *node) Stats(_ context.Context, id string) (model.Stats, error) {
	n.looks.Add(1)
	if id != "aaa" {
		return model.Stats{}, errors.New("it does not run")
	}
	return model.Stats{
		CPU:      model.CPUStats{Total: 3_500_000_000},
		Memory:   model.MemStats{Usage: 1000, Detail: map[string]uint64{"total_inactive_file": 400, "inactive_file": 1}},
		Networks: map[string]model.NetStats{"eth0": {RxBytes: 10, TxBytes: 20, RxDropped: 1, TxDropped: 2}},
		Blkio:    model.BlkStats{Bytes: []model.BlkEntry{{Op: "Read", Value: 5}, {Op: "read", Value: 6}, {Op: "Write", Value: 7}, {Op: "Total", Value: 18}}},
	}, n.fails
}

func (n *node) Supervised(context.Context) (int, error)    { return 1, n.fails }
func (n *node) JournalSeq() uint64                         { return 42 }
func (n *node) Storage() (model.StorageFault, int64, bool) { return n.fault, 7 << 30, true }
func (n *node) Pool(context.Context) (Pool, error)         { return n.pool, n.fails }

func scrape(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestContainersAreToldWithTheirOwners(t *testing.T) {
	t.Parallel()
	m, n := New("node-1", "v1"), &node{fault: model.StorageSuspended}
	h := m.Handler(n, slog.New(slog.DiscardHandler))
	m.Fetched("pull", time.Second, nil)
	m.Fetched("pull", time.Second, errors.New("no such image"))
	if n.looks.Load() != 0 {
		t.Error("containers were looked at before anybody asked")
	}
	text := scrape(t, h)
	const joan, jack = `{account="joan",account_id="id-of-joan",id="aaa",name="web"} `, `{account="jack",account_id="id-of-jack",id="bbb",name="old"} `
	for _, want := range []string{
		"spearhead_container_cpu_seconds_total" + joan + "3.5",
		"spearhead_container_memory_bytes" + joan + "600",
		"spearhead_container_memory_limit_bytes" + joan,
		"spearhead_container_cpus" + joan + "1.5",
		"spearhead_container_restarts_total" + joan + "2",
		"spearhead_container_disk_read_bytes_total" + joan + "11",
		"spearhead_container_disk_write_bytes_total" + joan + "7",
		`spearhead_container_network_transmit_bytes_total{account="joan",account_id="id-of-joan",id="aaa",interface="eth0",name="web"} 20`,
		"spearhead_container_running" + joan + "1", "spearhead_container_running" + jack + "0",
		"spearhead_agent_iod_up 1", "spearhead_agent_journal_seq 42", "spearhead_agent_unsampled_containers 0",
		`spearhead_agent_images_total{outcome="failed",way="pull"} 1`, `spearhead_agent_image_seconds_count{way="pull"} 1`,
		`spearhead_agent_info{node="node-1",version="v1"} 1`,
		`spearhead_agent_storage_fault{fault="silent"} 0`, `spearhead_agent_storage_fault{fault="suspended"} 1`, "spearhead_agent_storage_free_bytes 7.5",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the answer lacks %s", want)
		}
	}
	if strings.Contains(text, "cpu_seconds_total"+jack) {
		t.Error("a container that does not run uses something")
	}
}

// A pool that works on without one of its disks is told before the next one
// fails. One that does not answer is not asked.
func TestTheHealthOfThePoolIsTold(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	text := scrape(t, New("node-1", "v1").Handler(&node{pool: Pool{Name: "tank", Health: "DEGRADED"}}, log))
	for _, want := range []string{
		`spearhead_agent_pool_health{pool="tank",state="degraded"} 1`, `spearhead_agent_pool_health{pool="tank",state="online"} 0`,
		`spearhead_agent_pool_health{pool="tank",state="faulted"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the answer lacks %s", want)
		}
	}
	for name, n := range map[string]*node{
		"without a pool": {}, "does not answer": {pool: Pool{Name: "tank", Health: "ONLINE"}, fault: model.StorageSilent},
		"no answer": {pool: Pool{Name: "tank"}, fails: errors.New("no answer")},
	} {
		if text := scrape(t, New("node-1", "v1").Handler(n, log)); strings.Contains(text, "spearhead_agent_pool_health{") {
			t.Errorf("%s: the health of a pool is told", name)
		}
	}
}

func TestASilentSupervisorIsTold(t *testing.T) {
	t.Parallel()
	m := New("node-1", "v1")
	text := scrape(t, m.Handler(&node{fails: errors.New("no answer")}, slog.New(slog.DiscardHandler)))
	for _, want := range []string{"spearhead_agent_iod_up 0", "spearhead_agent_unsampled_containers 1"} {
		if !strings.Contains(text, want) {
			t.Errorf("the answer lacks %s", want)
		}
	}
}

func TestWithoutMetricsNothingIsCounted(t *testing.T) {
	t.Parallel()
	var none *Metrics
	none.Fetched("pull", time.Second, nil)
}

func TestStatusTellsOfContainersAndTheirSupervisor(t *testing.T) {
	t.Parallel()
	n := &node{}
	h := New("node-1", "v1").Handler(n, slog.New(slog.DiscardHandler))
	ask := func() (s Status) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/status", nil))
		if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := ask(); s.Node != "node-1" || s.Containers != 2 || s.Running != 1 || s.JournalSeq != 42 || !s.Supervisor.Up || s.Supervisor.Processes != 1 {
		t.Errorf("status %+v", s)
	}
	n.fails = errors.New("no answer")
	if ask().Supervisor.Up {
		t.Error("a supervisor that does not answer is said to be up")
	}
	if n.looks.Load() != 0 {
		t.Error("containers were looked at for it")
	}
}
