package iod

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// maxBody is enough for a process with 256 KiB of environment.
const maxBody = 2 << 20

func (s *supervisor) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(w http.ResponseWriter, r *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := f(w, r); err != nil {
				answerError(w, err)
			}
		})
	}
	onUnit := func(pattern string, f func(u *unit, w http.ResponseWriter, r *http.Request) error) {
		handle(pattern, func(w http.ResponseWriter, r *http.Request) error {
			u, err := s.unit(r.PathValue("id"))
			if err != nil {
				return err
			}
			return f(u, w, r)
		})
	}
	handle("GET /units", func(w http.ResponseWriter, _ *http.Request) error { return answer(w, s.running()) })
	handle("PUT /units/{id}", s.handleRegister)
	handle("DELETE /units/{id}", func(_ http.ResponseWriter, r *http.Request) error {
		return s.unregister(r.PathValue("id"))
	})
	handle("GET /exits", s.handleExits)
	handle("DELETE /exits/{id}/{run}", func(_ http.ResponseWriter, r *http.Request) error {
		return s.acknowledge(r.PathValue("id"), r.PathValue("run"))
	})
	handle("POST /probes", s.handleProbe)
	onUnit("GET /units/{id}", func(u *unit, w http.ResponseWriter, _ *http.Request) error {
		return answer(w, u.status())
	})
	onUnit("POST /units/{id}/start", handleStart)
	onUnit("POST /units/{id}/signal", handleSignal)
	onUnit("POST /units/{id}/resize", handleResize)
	onUnit("POST /units/{id}/attach", handleAttach)
	onUnit("GET /units/{id}/wait", handleWait)
	return mux
}

func (s *supervisor) handleRegister(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	var set Settings
	if err := decode(w, r, &set); err != nil {
		return err
	}
	if err := errors.Join(CheckName(id), set.check()); err != nil {
		return fail(http.StatusBadRequest, "%w", err)
	}
	return s.register(id, set)
}

func handleStart(u *unit, w http.ResponseWriter, r *http.Request) error {
	var req StartRequest
	if err := decode(w, r, &req); err != nil {
		return err
	}
	if err := req.check(u.set.Container != ""); err != nil {
		return fail(http.StatusBadRequest, "%w", err)
	}
	p, err := u.start(req)
	if err != nil {
		return err
	}
	return answer(w, p)
}

func handleSignal(u *unit, _ http.ResponseWriter, r *http.Request) error {
	n, err := number(r.URL.Query(), "signal", 64)
	if err != nil {
		return err
	}
	return u.signal(unix.Signal(n))
}

func handleResize(u *unit, _ http.ResponseWriter, r *http.Request) error {
	rows, err := number(r.URL.Query(), "rows", 65535)
	if err != nil {
		return err
	}
	cols, err := number(r.URL.Query(), "cols", 65535)
	if err != nil {
		return err
	}
	return u.resize(uint16(rows), uint16(cols))
}

// handleWait answers when the unit's present run has ended.
func handleWait(u *unit, _ http.ResponseWriter, r *http.Request) error {
	u.mu.Lock()
	live, ended := u.phase == running || u.phase == starting, u.ended
	u.mu.Unlock()
	if !live {
		return nil
	}
	select {
	case <-ended:
	case <-u.sup.ctx.Done():
		return fail(http.StatusServiceUnavailable, "cannot wait: the supervisor stops")
	case <-r.Context().Done():
	}
	return nil
}

func handleAttach(u *unit, w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	o := attachOptions{
		stdin: q.Get("stdin") == "1", stdout: q.Get("stdout") == "1", stderr: q.Get("stderr") == "1",
		carry: q.Get("carry") == "1",
	}
	if u.set.Tty {
		keys, err := ParseDetachKeys(q.Get("detachKeys"))
		if err != nil {
			return fail(http.StatusBadRequest, "%w", err)
		}
		o.keys = keys
	}
	conn, early, err := upgrade(w)
	if err != nil {
		return err
	}
	u.attach(conn, early, o, func(last time.Time) error {
		out := bufio.NewWriter(conn)
		fmt.Fprintf(out, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n%s: %s\r\n\r\n",
			LogTimeHeader, last.Format(time.RFC3339Nano))
		return out.Flush()
	})
	return nil
}

// handleExits streams exits, one JSON object a line: first those that nobody
// acknowledged, then each as it happens.
func (s *supervisor) handleExits(w http.ResponseWriter, r *http.Request) error {
	out := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	sent := map[[2]string]bool{}
	for {
		exits, more := s.pending()
		open := make(map[[2]string]bool, len(exits))
		for _, e := range exits {
			key := [2]string{e.ID, e.Run}
			open[key] = true
			if sent[key] {
				continue
			}
			if err := out.Encode(e); err != nil {
				return nil // the reader is gone
			}
		}
		sent = open
		if err := flush.Flush(); err != nil {
			return nil // the reader is gone
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return nil
		case <-s.ctx.Done():
			return nil
		}
	}
}

func number(q url.Values, name string, limit int) (int, error) {
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 0 || n > limit {
		return 0, fail(http.StatusBadRequest, "cannot use %.20q as %s", q.Get(name), name)
	}
	return n, nil
}

// decode reads a request's body strictly: one object, known fields only.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fail(http.StatusBadRequest, "cannot read request: %w", err)
	}
	if d.More() {
		return fail(http.StatusBadRequest, "cannot read request: there is something after it")
	}
	return nil
}

func answer(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

func answerError(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var known *statusError
	if errors.As(err, &known) {
		status = known.status
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Failure{Text: err.Error()}) // the caller sees a short answer as an error
}
