package joining

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/spearheadcloud/spearhead/model"
	"github.com/spearheadcloud/spearhead/pki/join"
)

// maxBody bounds a request, in bytes: an inventory of the largest machine has
// room in it.
const maxBody = 128 << 10

// handler serves Path and leaves everything else to next.
type handler struct {
	service *Service
	limit   *limit
	log     *slog.Logger
	next    http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != join.Path {
		h.next.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		h.refuse(w, http.StatusMethodNotAllowed, model.Errorf(model.KindInvalid, "machines join by POST"))
		return
	}
	from := sender(r)
	if !h.limit.open(from) {
		h.refuse(w, http.StatusTooManyRequests, model.Errorf(model.KindUnavailable, "too many requests to join were refused; wait a minute and try again"))
		return
	}
	answer, err := h.join(r, from)
	if err != nil {
		if !model.IsKind(err, model.KindUnavailable) {
			h.limit.refused(from)
		}
		h.log.Warn("a machine may not join", slog.String("op", "join"), slog.String("from", from.String()), slog.Any("err", err))
		h.refuse(w, statusOf(err), err)
		return
	}
	if answer.Pending {
		w.WriteHeader(http.StatusAccepted)
	}
	_ = json.NewEncoder(w).Encode(answer) // a machine that is gone asks again
}

func (h *handler) join(r *http.Request, from netip.Addr) (join.Answer, error) {
	var in join.Request
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	if err := d.Decode(&in); err != nil {
		return join.Answer{}, model.Errorf(model.KindInvalid, "the request to join is not JSON of the expected form")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return join.Answer{}, model.Errorf(model.KindInvalid, "the request to join goes on after its end")
	}
	return h.service.Join(r.Context(), in, from)
}

func (h *handler) refuse(w http.ResponseWriter, status int, err error) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(join.Refusal{Kind: model.KindOf(err), Text: model.UserText(err)}) // as above
}

func statusOf(err error) int {
	switch model.KindOf(err) {
	case model.KindInvalid:
		return http.StatusBadRequest
	case model.KindForbidden:
		return http.StatusForbidden
	case model.KindConflict:
		return http.StatusConflict
	case model.KindUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// sender is the address that a request comes from.
func sender(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
